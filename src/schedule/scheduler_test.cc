#include "schedule/scheduler.h"

#include <gtest/gtest.h>

namespace leman {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

Task TaskOf(std::vector<RowRange> pieces) { return Task{0, 1, std::move(pieces)}; }

std::vector<AssignTask> Assignments(const Scheduler::Commands& commands) {
  std::vector<AssignTask> assigned;
  for (const Command& command : commands) {
    if (const auto* assign = std::get_if<AssignTask>(&command)) assigned.push_back(*assign);
  }
  return assigned;
}

template <typename T>
const T* First(const Scheduler::Commands& commands) {
  for (const Command& command : commands) {
    if (const auto* found = std::get_if<T>(&command)) return found;
  }
  return nullptr;
}

SchedulerOptions Options(int32_t workers) {
  SchedulerOptions options;
  options.max_workers = workers;
  return options;
}

TEST(Scheduler, StartsNoMoreWorkersThanTasks) {
  Scheduler scheduler(Options(8), {TaskOf({{0, 0, 10}}), TaskOf({{0, 10, 20}})});
  EXPECT_EQ(First<StartWorkers>(scheduler.Start())->count, 2);
}

TEST(Scheduler, HandsOutTasksAndFinishes) {
  Scheduler scheduler(Options(1), {TaskOf({{0, 0, 10}}), TaskOf({{0, 10, 20}})});
  scheduler.Start();
  auto assigned = Assignments(scheduler.OnWorkerReady(1));
  ASSERT_EQ(assigned.size(), 1U);
  EXPECT_TRUE(scheduler.OnCheckpoint(0, 1, {0, 0, 10}));
  assigned = Assignments(scheduler.OnTaskDone(1, 0, 1));
  ASSERT_EQ(assigned.size(), 1U);
  EXPECT_EQ(assigned[0].task.id, 1);
  scheduler.OnCheckpoint(1, 1, {0, 10, 20});
  scheduler.OnTaskDone(1, 1, 1);
  EXPECT_TRUE(scheduler.finished());
}

TEST(Scheduler, CountsNoRowTwiceAndNoneOutsideTheTask) {
  Scheduler scheduler(Options(1), {TaskOf({{0, 0, 10}, {1, 0, 10}})});
  scheduler.Start();
  scheduler.OnWorkerReady(1);
  EXPECT_TRUE(scheduler.OnCheckpoint(0, 1, {0, 0, 5}));
  EXPECT_FALSE(scheduler.OnCheckpoint(0, 1, {0, 0, 5}));
  EXPECT_FALSE(scheduler.OnCheckpoint(0, 1, {0, 4, 8}));
  EXPECT_FALSE(scheduler.OnCheckpoint(0, 1, {0, 5, 11}));
  EXPECT_FALSE(scheduler.OnCheckpoint(0, 1, {2, 0, 5}));
  EXPECT_FALSE(scheduler.OnCheckpoint(0, 1, {0, 7, 7}));
  EXPECT_TRUE(scheduler.OnCheckpoint(0, 1, {1, 0, 5}));
  EXPECT_TRUE(scheduler.OnCheckpoint(0, 1, {0, 5, 10}));
}

TEST(Scheduler, ATaskIsNotDoneWithoutItsCheckpoints) {
  Scheduler scheduler(Options(1), {TaskOf({{0, 0, 10}})});
  scheduler.Start();
  scheduler.OnWorkerReady(1);
  scheduler.OnCheckpoint(0, 1, {0, 0, 9});
  EXPECT_NE(First<FailJob>(scheduler.OnTaskDone(1, 0, 1)), nullptr);
}

TEST(Scheduler, AWorkersDeathRequeuesOnlyWhatIsNotCheckpointed) {
  Scheduler scheduler(Options(1), {TaskOf({{0, 0, 100}})});
  scheduler.Start();
  scheduler.OnWorkerReady(1);
  scheduler.OnCheckpoint(0, 1, {0, 0, 60});
  const auto commands = scheduler.OnWorkerLost(1, "killed");
  EXPECT_EQ(First<StartWorkers>(commands)->count, 1);
  const auto assigned = Assignments(scheduler.OnWorkerReady(2));
  ASSERT_EQ(assigned.size(), 1U);
  EXPECT_EQ(assigned[0].task.pieces, (std::vector<RowRange>{{0, 60, 100}}));
  EXPECT_EQ(assigned[0].task.attempt, 2);
  EXPECT_EQ(scheduler.retries(), 1);
}

TEST(Scheduler, AWorkerThatEndsInGoodOrderBlamesNoTask) {
  Scheduler scheduler(Options(1), {TaskOf({{0, 0, 100}})});
  scheduler.Start();
  WorkerLoss loss("holds too much memory");
  loss.planned = true;
  for (int32_t worker = 1; worker <= 10; ++worker) {
    scheduler.OnWorkerReady(worker);
    ASSERT_TRUE(scheduler.OnCheckpoint(0, worker, {0, worker - 1, worker}));
    const auto commands = scheduler.OnWorkerLost(worker, loss);
    ASSERT_EQ(First<FailJob>(commands), nullptr);
    EXPECT_EQ(First<StartWorkers>(commands)->count, 1);
  }
  const auto assigned = Assignments(scheduler.OnWorkerReady(11));
  ASSERT_EQ(assigned.size(), 1U);
  EXPECT_EQ(assigned[0].task.pieces, (std::vector<RowRange>{{0, 10, 100}}));
  EXPECT_EQ(scheduler.retries(), 0);
}

TEST(Scheduler, MessagesOfAnOlderAttemptAreIgnored) {
  Scheduler scheduler(Options(2), {TaskOf({{0, 0, 100}})});
  scheduler.Start();
  scheduler.OnWorkerReady(1);
  scheduler.OnWorkerLost(1, "cut off");
  scheduler.OnWorkerReady(2);
  EXPECT_FALSE(scheduler.OnCheckpoint(0, 1, {0, 0, 100}));
  scheduler.OnTaskDone(1, 0, 1);
  EXPECT_FALSE(scheduler.finished());
  EXPECT_TRUE(scheduler.OnCheckpoint(0, 2, {0, 0, 100}));
  scheduler.OnTaskDone(2, 0, 2);
  EXPECT_TRUE(scheduler.finished());
}

TEST(Scheduler, ADeathAfterTheLastCheckpointLeavesNothingToDo) {
  Scheduler scheduler(Options(1), {TaskOf({{0, 0, 10}})});
  scheduler.Start();
  scheduler.OnWorkerReady(1);
  scheduler.OnCheckpoint(0, 1, {0, 0, 10});
  scheduler.OnWorkerLost(1, "killed");
  EXPECT_TRUE(scheduler.finished());
}

TEST(Scheduler, RowsThatKillWorkersAreFoundByBisection) {
  constexpr int64_t kPoison = 37;
  Scheduler scheduler(Options(1), {TaskOf({{5, 0, 100}})});
  std::vector<Command> queue = scheduler.Start();
  WorkerId worker = 0;
  for (int steps = 0; steps < 1000; ++steps) {
    ASSERT_FALSE(queue.empty());
    const Command command = queue.front();
    queue.erase(queue.begin());
    Scheduler::Commands next;
    if (std::holds_alternative<StartWorkers>(command)) {
      next = scheduler.OnWorkerReady(++worker);
    } else if (const auto* assign = std::get_if<AssignTask>(&command)) {
      bool dies = false;
      for (const RowRange& piece : assign->task.pieces) dies |= piece.start <= kPoison && kPoison < piece.end;
      if (dies) {
        next = scheduler.OnWorkerLost(assign->worker, "segmentation fault");
      } else {
        for (const RowRange& piece : assign->task.pieces) {
          scheduler.OnCheckpoint(assign->task.id, assign->task.attempt, piece);
        }
        next = scheduler.OnTaskDone(assign->worker, assign->task.id, assign->task.attempt);
      }
    } else if (const auto* blame = std::get_if<BlameRow>(&command)) {
      EXPECT_EQ(blame->row, (RowRange{5, 37, 38}));
      EXPECT_EQ(blame->failure.error_type, "WorkerCrashError");
      EXPECT_EQ(blame->failure.message, "segmentation fault");
      EXPECT_EQ(blame->failure.attempts, 3 + 6);  // three on the whole, then halves down to the row
      return;
    }
    queue.insert(queue.end(), next.begin(), next.end());
  }
  FAIL() << "the row was not found";
}

// The one row of the task `row` is to blame already.
BlameRow Blamed(Scheduler& scheduler) {
  scheduler.Start();
  scheduler.OnWorkerReady(1);
  WorkerLoss loss("stuck");
  loss.error_type = "FunctionTimeoutError";
  loss.task = 0;
  loss.rows = RowRange{0, 4, 5};
  const auto commands = scheduler.OnWorkerLost(1, loss);
  return *First<BlameRow>(commands);
}

TEST(Scheduler, RowsThatAWorkerNamedAreBlamedAtOnceAndTheOthersGoOn) {
  Scheduler scheduler(Options(1), {TaskOf({{0, 0, 10}})});
  const BlameRow blame = Blamed(scheduler);
  EXPECT_EQ(blame.row, (RowRange{0, 4, 5}));
  EXPECT_EQ(blame.failure.attempts, 1);
  EXPECT_EQ(blame.failure.error_type, "FunctionTimeoutError");
  const auto others = Assignments(scheduler.OnWorkerReady(2));
  ASSERT_EQ(others.size(), 1U);
  EXPECT_EQ(others[0].task.pieces, (std::vector<RowRange>{{0, 0, 4}, {0, 5, 10}}));
}

TEST(Scheduler, ARowThatIsGivenUpIsHandedOutAsSuchAndEndsTheJob) {
  Scheduler scheduler(Options(1), {TaskOf({{0, 0, 10}})});
  const BlameRow blame = Blamed(scheduler);
  auto assigned = Assignments(scheduler.OnWorkerReady(2));
  for (const RowRange& piece : assigned[0].task.pieces) {
    scheduler.OnCheckpoint(assigned[0].task.id, assigned[0].task.attempt, piece);
  }
  scheduler.OnTaskDone(2, assigned[0].task.id, assigned[0].task.attempt);
  EXPECT_FALSE(scheduler.finished());
  assigned = Assignments(scheduler.GiveUp(blame.task, blame.failure));
  ASSERT_EQ(assigned.size(), 1U);
  EXPECT_EQ(assigned[0].task.given_up->message, "stuck");
  // A worker that is lost meanwhile has nothing to do with the row.
  for (WorkerId worker = 2; worker < 8; ++worker) {
    EXPECT_EQ(First<BlameRow>(scheduler.OnWorkerLost(worker, "killed")), nullptr);
    assigned = Assignments(scheduler.OnWorkerReady(worker + 1));
    ASSERT_EQ(assigned.size(), 1U);
  }
  EXPECT_TRUE(scheduler.OnCheckpoint(assigned[0].task.id, assigned[0].task.attempt, {0, 4, 5}));
  scheduler.OnTaskDone(8, assigned[0].task.id, assigned[0].task.attempt);
  EXPECT_TRUE(scheduler.finished());
}

TEST(Scheduler, ARowThatIsTriedAgainIsBlamedWithItsAttemptsInAll) {
  Scheduler scheduler(Options(1), {TaskOf({{0, 4, 5}})});
  const BlameRow blame = Blamed(scheduler);
  scheduler.TryAgain(blame.task);
  ASSERT_EQ(Assignments(scheduler.OnWorkerReady(2)).size(), 1U);
  const auto commands = scheduler.OnWorkerLost(2, "killed");
  ASSERT_NE(First<BlameRow>(commands), nullptr);
  EXPECT_EQ(First<BlameRow>(commands)->failure.attempts, 2);
}

TEST(Scheduler, DeathsOfATaskThatGoesOnBetweenThemAreNotCountedTogether) {
  Scheduler scheduler(Options(1), {TaskOf({{0, 0, 100}})});
  scheduler.Start();
  auto assigned = Assignments(scheduler.OnWorkerReady(1));
  for (int32_t i = 0; i < 20; ++i) {
    ASSERT_EQ(assigned.size(), 1U);
    EXPECT_FALSE(assigned[0].task.rows() < 100 - i);
    scheduler.OnCheckpoint(0, i + 1, {0, i, i + 1});
    scheduler.OnWorkerLost(i + 1, "killed");
    assigned = Assignments(scheduler.OnWorkerReady(i + 2));
  }
  EXPECT_EQ(scheduler.tasks_total(), 1);
}

TEST(Scheduler, AWorkerWithoutProgressIsReplaced) {
  SchedulerOptions options = Options(1);
  options.stall_ns = 5 * kSecond;
  Scheduler scheduler(options, {TaskOf({{0, 0, 10}})});
  scheduler.Start();
  scheduler.OnWorkerReady(1);
  EXPECT_EQ(First<ReplaceWorker>(scheduler.OnTick(0)), nullptr);
  EXPECT_EQ(First<ReplaceWorker>(scheduler.OnTick(5 * kSecond)), nullptr);
  scheduler.OnProgress(1, 0, 1, 3, 5 * kSecond);
  EXPECT_EQ(First<ReplaceWorker>(scheduler.OnTick(6 * kSecond)), nullptr);
  EXPECT_EQ(First<ReplaceWorker>(scheduler.OnTick(11 * kSecond)), nullptr);
  const auto commands = scheduler.OnTick(12 * kSecond);
  const auto* replace = First<ReplaceWorker>(commands);
  ASSERT_NE(replace, nullptr);
  EXPECT_EQ(replace->loss.error_type, "WorkerStallError");
  EXPECT_EQ(replace->loss.task, 0);
  scheduler.OnWorkerLost(1, replace->loss);
  EXPECT_EQ(Assignments(scheduler.OnWorkerReady(2)).size(), 1U);
}

TEST(Scheduler, ATaskThatWaitsBehindASlowOneIsTakenBackForAnIdleWorker) {
  std::vector<Task> tasks;
  for (int64_t i = 0; i < 12; ++i) tasks.push_back(TaskOf({{0, 10 * i, 10 * i + 10}}));
  Scheduler scheduler(Options(2), std::move(tasks));
  scheduler.Start();
  auto slow = Assignments(scheduler.OnWorkerReady(1));
  ASSERT_EQ(slow.size(), 2U);  // one to run, one in line
  auto quick = Assignments(scheduler.OnWorkerReady(2));
  while (!quick.empty()) {
    const Task task = quick.front().task;
    quick.erase(quick.begin());
    scheduler.OnCheckpoint(task.id, task.attempt, task.pieces[0]);
    for (const AssignTask& next : Assignments(scheduler.OnTaskDone(2, task.id, task.attempt))) quick.push_back(next);
  }
  const auto commands = scheduler.OnTick(kSecond);
  const auto* shrink = First<ShrinkTask>(commands);
  ASSERT_NE(shrink, nullptr);
  EXPECT_EQ(shrink->task, slow[1].task.id);
  EXPECT_EQ(shrink->keep_rows, 0);
  const auto given = Assignments(scheduler.OnShrunk(1, shrink->task, shrink->attempt, 0));
  ASSERT_EQ(given.size(), 1U);
  EXPECT_EQ(given[0].worker, 2);
  EXPECT_EQ(given[0].task.pieces, slow[1].task.pieces);
  scheduler.OnTaskDone(1, shrink->task, shrink->attempt);
  scheduler.OnCheckpoint(given[0].task.id, 1, given[0].task.pieces[0]);
  scheduler.OnTaskDone(2, given[0].task.id, 1);
  scheduler.OnCheckpoint(slow[0].task.id, 1, slow[0].task.pieces[0]);
  scheduler.OnTaskDone(1, slow[0].task.id, 1);
  EXPECT_TRUE(scheduler.finished());
}

TEST(Scheduler, APassingFaultIsTriedAgainAfterAPauseThatGrows) {
  Scheduler scheduler(Options(1), {TaskOf({{0, 0, 10}})});
  scheduler.Start();
  ASSERT_EQ(Assignments(scheduler.OnWorkerReady(1)).size(), 1U);
  const Error error = MakeError(ErrorKind::kRetryable, "read rows: the server is busy");
  int64_t now = 0;
  for (int32_t attempt = 1; attempt < 5; ++attempt) {
    EXPECT_TRUE(scheduler.OnPassingFault(1, 0, attempt, error, now).empty());
    const int64_t pause = (kSecond / 2) << (attempt - 1);
    EXPECT_TRUE(Assignments(scheduler.OnTick(now + pause - 1)).empty());
    ASSERT_EQ(Assignments(scheduler.OnTick(now += pause)).size(), 1U);
  }
  const auto commands = scheduler.OnPassingFault(1, 0, 5, error, now);
  ASSERT_NE(First<FailJob>(commands), nullptr);
  EXPECT_EQ(First<FailJob>(commands)->error.message,
            "rows 0 to 9 of fragment 0, tried 5 times: read rows: the server is busy");
}

TEST(Scheduler, WorkersThatCannotStartFailTheJob) {
  Scheduler scheduler(Options(1), {TaskOf({{0, 0, 10}})});
  scheduler.Start();
  EXPECT_EQ(First<FailJob>(scheduler.OnWorkerLost(1, "exit 1")), nullptr);
  EXPECT_EQ(First<FailJob>(scheduler.OnWorkerLost(2, "exit 1")), nullptr);
  EXPECT_NE(First<FailJob>(scheduler.OnWorkerLost(3, "exit 1")), nullptr);
}

TEST(Scheduler, SlowTasksAreSplitForIdleWorkers) {
  Scheduler scheduler(Options(2), {TaskOf({{0, 0, 1000}})});
  EXPECT_EQ(First<StartWorkers>(scheduler.Start())->count, 1);
  scheduler.OnWorkerReady(1);
  scheduler.OnProgress(1, 0, 1, 1, 1 * kSecond);
  EXPECT_TRUE(scheduler.OnTick(1 * kSecond).empty());
  scheduler.OnProgress(1, 0, 1, 10, 2 * kSecond);
  auto commands = scheduler.OnTick(2 * kSecond);
  ASSERT_NE(First<StartWorkers>(commands), nullptr);
  EXPECT_EQ(First<StartWorkers>(commands)->count, 1);
  EXPECT_TRUE(Assignments(scheduler.OnWorkerReady(2)).empty());
  commands = scheduler.OnTick(2 * kSecond);
  const auto* shrink = First<ShrinkTask>(commands);
  ASSERT_NE(shrink, nullptr);
  EXPECT_EQ(shrink->keep_rows, 505);
  EXPECT_EQ(First<ShrinkTask>(scheduler.OnTick(2 * kSecond)), nullptr) << "one request at a time";
  const auto assigned = Assignments(scheduler.OnShrunk(1, 0, 1, 505));
  ASSERT_EQ(assigned.size(), 1U);
  EXPECT_EQ(assigned[0].worker, 2);
  EXPECT_EQ(assigned[0].task.pieces, (std::vector<RowRange>{{0, 505, 1000}}));
  scheduler.OnCheckpoint(0, 1, {0, 0, 505});
  scheduler.OnTaskDone(1, 0, 1);
  scheduler.OnCheckpoint(1, 1, {0, 505, 1000});
  scheduler.OnTaskDone(2, 1, 1);
  EXPECT_TRUE(scheduler.finished());
}

TEST(Scheduler, RowsInHandAreThoseComputedButNotCheckpointed) {
  Scheduler scheduler(Options(1), {TaskOf({{0, 0, 1000}})});
  scheduler.Start();
  scheduler.OnWorkerReady(1);
  scheduler.OnProgress(1, 0, 1, 300, 1);
  EXPECT_EQ(scheduler.RowsInHand(), 300);
  scheduler.OnCheckpoint(0, 1, {0, 0, 250});
  EXPECT_EQ(scheduler.RowsInHand(), 50);
  scheduler.OnWorkerLost(1, "killed");
  EXPECT_EQ(scheduler.RowsInHand(), 0);
}

TEST(Scheduler, FastTasksAreNotSplit) {
  Scheduler scheduler(Options(2), {TaskOf({{0, 0, 1000}})});
  scheduler.Start();
  scheduler.OnWorkerReady(1);
  scheduler.OnProgress(1, 0, 1, 100, 1000);
  scheduler.OnProgress(1, 0, 1, 900, 2000);
  EXPECT_TRUE(scheduler.OnTick(2000).empty());
}

TEST(Pieces, AreCutByRows) {
  const std::vector<RowRange> pieces = {{1, 0, 10}, {2, 0, 10}};
  EXPECT_EQ(PiecesFrom(pieces, 15), (std::vector<RowRange>{{2, 5, 10}}));
  EXPECT_EQ(FirstRows(pieces, 15), (std::vector<RowRange>{{1, 0, 10}, {2, 0, 5}}));
  EXPECT_EQ(FirstRows(pieces, 10), (std::vector<RowRange>{{1, 0, 10}}));
  EXPECT_EQ(Without(pieces, {{2, 3, 5}, {1, 0, 10}}), (std::vector<RowRange>{{2, 0, 3}, {2, 5, 10}}));
}

TEST(Scheduler, AWorkerThatLeavesGivesBackWhatItHasNotComputed) {
  Scheduler scheduler(Options(1), {TaskOf({{0, 0, 100}}), TaskOf({{1, 0, 100}})});
  scheduler.Start();
  ASSERT_EQ(Assignments(scheduler.OnWorkerReady(1)).size(), 1U);
  scheduler.OnProgress(1, 0, 1, 30, kSecond);
  auto commands = scheduler.OnWorkerLeaving(1);
  const auto* shrink = First<ShrinkTask>(commands);
  ASSERT_NE(shrink, nullptr);
  EXPECT_EQ(shrink->worker, 1);
  EXPECT_EQ(shrink->keep_rows, 30);
  ASSERT_NE(First<StartWorkers>(commands), nullptr);  // at once, beside the one that leaves
  EXPECT_EQ(First<StartWorkers>(commands)->count, 1);
  EXPECT_EQ(First<RetireWorker>(commands), nullptr);
  EXPECT_TRUE(scheduler.OnWorkerLeaving(1).empty());

  EXPECT_TRUE(scheduler.OnShrunk(1, 0, 1, 40).empty());  // a batch was under way; nobody is there for the rest
  scheduler.OnCheckpoint(0, 1, {0, 0, 40});
  commands = scheduler.OnTaskDone(1, 0, 1);
  EXPECT_TRUE(Assignments(commands).empty());
  ASSERT_NE(First<RetireWorker>(commands), nullptr);
  EXPECT_EQ(First<RetireWorker>(commands)->worker, 1);

  int64_t rows = 0;
  auto assigned = Assignments(scheduler.OnWorkerReady(2));
  while (!assigned.empty()) {
    const Task task = assigned.front().task;
    rows += task.rows();
    for (const RowRange& piece : task.pieces) EXPECT_TRUE(scheduler.OnCheckpoint(task.id, task.attempt, piece));
    assigned = Assignments(scheduler.OnTaskDone(2, task.id, task.attempt));
  }
  EXPECT_EQ(rows, 160);
  EXPECT_TRUE(scheduler.finished());
  EXPECT_EQ(scheduler.retries(), 0);
}

TEST(Scheduler, AWorkerThatLeavesGivesBackWhatIsInLine) {
  std::vector<Task> tasks;
  for (int64_t i = 0; i < 8; ++i) tasks.push_back(TaskOf({{0, 10 * i, 10 * i + 10}}));
  Scheduler scheduler(Options(2), std::move(tasks));
  scheduler.Start();
  ASSERT_EQ(Assignments(scheduler.OnWorkerReady(1)).size(), 2U);  // one of them in advance
  const auto commands = scheduler.OnWorkerLeaving(1);
  std::vector<int64_t> kept;
  for (const Command& command : commands) {
    if (const auto* shrink = std::get_if<ShrinkTask>(&command)) kept.push_back(shrink->keep_rows);
  }
  EXPECT_EQ(kept, (std::vector<int64_t>{1, 0}));
  EXPECT_TRUE(Assignments(scheduler.OnTick(kSecond)).empty());
}

TEST(Scheduler, WhenItsReplacementLeavesTooAnotherOneIsStarted) {
  Scheduler scheduler(Options(1), {TaskOf({{0, 0, 100}})});
  scheduler.Start();
  scheduler.OnWorkerReady(1);
  EXPECT_NE(First<StartWorkers>(scheduler.OnWorkerLeaving(1)), nullptr);
  scheduler.OnWorkerLeaving(2);
  // What the first one leaves is not known yet: the second one has nothing to do, and ends.
  auto commands = scheduler.OnWorkerReady(2);
  EXPECT_NE(First<RetireWorker>(commands), nullptr);
  EXPECT_EQ(First<StartWorkers>(commands), nullptr);
  EXPECT_NE(First<StartWorkers>(scheduler.OnShrunk(1, 0, 1, 40)), nullptr);
  EXPECT_EQ(First<StartWorkers>(scheduler.OnTick(kSecond)), nullptr);
  EXPECT_EQ(Assignments(scheduler.OnWorkerReady(3)).size(), 1U);
}

TEST(Scheduler, OneThatLeavesBeforeItIsReadyOrIdlesEndsAtOnce) {
  Scheduler scheduler(Options(2), {TaskOf({{0, 0, 10}}), TaskOf({{1, 0, 10}})});
  EXPECT_EQ(First<StartWorkers>(scheduler.Start())->count, 2);
  EXPECT_TRUE(scheduler.OnWorkerLeaving(1).empty());
  auto commands = scheduler.OnWorkerReady(1);
  EXPECT_TRUE(Assignments(commands).empty());
  EXPECT_NE(First<RetireWorker>(commands), nullptr);
  ASSERT_NE(First<StartWorkers>(commands), nullptr);
  EXPECT_EQ(First<StartWorkers>(commands)->count, 1);
  // One whose machine goes first is lost like any other.
  ASSERT_EQ(Assignments(scheduler.OnWorkerReady(2)).size(), 1U);
  scheduler.OnWorkerLeaving(2);
  scheduler.OnWorkerLost(2, "its node is gone");
  EXPECT_EQ(Assignments(scheduler.OnWorkerReady(3)).size(), 1U);
  EXPECT_EQ(scheduler.retries(), 1);
}

}  // namespace
}  // namespace leman
