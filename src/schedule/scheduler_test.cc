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
    } else if (const auto* fail = std::get_if<FailJob>(&command)) {
      EXPECT_NE(fail->error.message.find("row 37 of fragment 5"), std::string::npos) << fail->error.message;
      return;
    }
    queue.insert(queue.end(), next.begin(), next.end());
  }
  FAIL() << "the row was not found";
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

}  // namespace
}  // namespace leman
