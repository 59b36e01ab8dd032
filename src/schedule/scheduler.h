// Which worker computes what, when. Events in, commands out: no thread, no clock, no IO.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "model/task.h"
#include "schedule/command.h"

namespace leman {

struct SchedulerOptions {
  int32_t max_workers = 8;
  int32_t threads_per_worker = 1;
  int32_t max_attempts = 3;       ///< Worker deaths on a task before it is bisected.
  int32_t max_failed_starts = 3;  ///< Workers in a row that die before they are ready.
  int64_t stall_ns = 0;           ///< A running task without progress for so long: its worker is replaced; 0: never.
  int32_t max_faults = 5;         ///< Passing faults of storage in a row on a task before the job fails.
  int64_t first_pause_ns = 500'000'000;  ///< Before a task that met one is tried again; doubled each time.
  int64_t split_above_ns = 300'000'000;  ///< A task is split for an idle worker if it has longer than this to go.
};

/// Task states (docs/states/task.md): pending, assigned, resting, blamed, done. A worker's death returns its tasks to
/// pending, less what is checkpointed; a task on which workers die again and again is bisected down to the row. Every
/// event names the attempt it belongs to; one of an older attempt is ignored.
class Scheduler {
 public:
  Scheduler(SchedulerOptions options, std::vector<Task> tasks);

  using Commands = std::vector<Command>;

  Commands Start();
  Commands OnWorkerReady(WorkerId worker);
  /// A worker has finished `rows_done` rows of a task, in order, checkpointed or not.
  Commands OnProgress(WorkerId worker, TaskId task, int32_t attempt, int64_t rows_done, int64_t now_ns);
  /// Returns whether the checkpoint counts: it belongs to the current attempt, lies in one piece of the task, and holds
  /// no row that counts already.
  bool OnCheckpoint(TaskId task, int32_t attempt, const RowRange& range);
  Commands OnTaskDone(WorkerId worker, TaskId task, int32_t attempt);
  /// The worker keeps the first `kept_rows` rows of the task; the rest becomes a task of its own.
  Commands OnShrunk(WorkerId worker, TaskId task, int32_t attempt, int64_t kept_rows);
  Commands OnWorkerLost(WorkerId worker, const WorkerLoss& loss);
  /// The worker's machine is about to go: it gets nothing more, ends its tasks with what it has computed, and is
  /// retired once it has nothing in hand. Others get the rest, and one takes its place at once.
  Commands OnWorkerLeaving(WorkerId worker);
  /// The task met a passing fault (of storage, not of the function): it is tried again after a pause.
  Commands OnPassingFault(WorkerId worker, TaskId task, int32_t attempt, const Error& error, int64_t now_ns);
  /// Answers to BlameRow: the row is left null with `failure` as its error; or it is tried again.
  Commands GiveUp(TaskId task, const RowFailure& failure);
  Commands TryAgain(TaskId task);
  /// Called every now and then: splits tasks and starts workers where that helps.
  Commands OnTick(int64_t now_ns);

  [[nodiscard]] bool finished() const { return tasks_done_ == static_cast<int64_t>(tasks_.size()); }
  /// Whether `worker` has this attempt of `task` now.
  [[nodiscard]] bool IsCurrent(WorkerId worker, TaskId task, int32_t attempt) {
    return Current(worker, task, attempt) != nullptr;
  }
  [[nodiscard]] int64_t tasks_total() const { return static_cast<int64_t>(tasks_.size()); }
  [[nodiscard]] int64_t tasks_done() const { return tasks_done_; }
  [[nodiscard]] int64_t retries() const { return retries_; }
  /// Rows that workers have computed but not checkpointed yet, as far as they have said.
  [[nodiscard]] int64_t RowsInHand() const;
  /// The rows that the head tasks of `worker` are at, for messages.
  [[nodiscard]] std::vector<RowRange> RunningOn(WorkerId worker) const;

 private:
  enum class TaskState { kPending, kAssigned, kResting, kBlamed, kDone };
  struct TaskEntry {
    Task task;
    TaskState state = TaskState::kPending;
    WorkerId worker = -1;
    std::vector<RowRange> checkpointed;
    int64_t rows_done = 0;
    int64_t first_progress_ns = -1;
    int64_t first_progress_rows = 0;
    int64_t last_progress_ns = -1;
    int64_t quiet_since_ns = -1;  ///< When a tick first saw it running without news since.
    int64_t due_ns = 0;           ///< With kResting: when it is pending again.
    int32_t faults = 0;           ///< Passing faults in a row.
    int32_t deaths = 0;           ///< In a row.
    int32_t attempts_lost = 0;    ///< Deaths on its rows in all, before they were bisected, too.
    bool suspect = false;         ///< Made by bisecting: one more death is enough.
    bool shrinking = false;       ///< A shrink request is on its way.
  };
  struct WorkerEntry {
    bool leaving = false;
    std::deque<TaskId> assigned;  ///< In the order of assignment; the first threads_per_worker run.
  };

  [[nodiscard]] TaskEntry* Current(WorkerId worker, TaskId task, int32_t attempt);
  TaskId AddTask(std::vector<RowRange> pieces, bool suspect);
  void Dispatch(Commands& commands);
  void DispatchTo(WorkerId worker, Commands& commands);
  void AssignTo(WorkerId worker, Commands& commands);
  void SplitForIdle(int64_t now_ns, Commands& commands);
  void StartMore(int64_t wanted_threads, Commands& commands);
  void RetireIdle(Commands& commands);
  [[nodiscard]] int64_t WorkersThatStay() const;
  void Unassign(WorkerId worker, TaskId task);
  void TakeOff(TaskEntry& entry);
  void Requeue(TaskEntry& entry, bool blamed, const WorkerLoss& loss, Commands& commands);
  void Isolate(TaskEntry& entry, const RowRange& rows);
  void Bisect(TaskEntry& entry, const WorkerLoss& loss, Commands& commands);
  void EndRests(int64_t now_ns);
  void ReplaceStalled(int64_t now_ns, Commands& commands);
  int64_t TakeBackQueued(int64_t idle, Commands& commands);
  [[nodiscard]] int64_t RemainingNs(const TaskEntry& entry) const;
  [[nodiscard]] int64_t IdleThreads() const;

  SchedulerOptions options_;
  std::deque<TaskEntry> tasks_;  // index is the task id
  std::deque<TaskId> pending_;
  std::vector<TaskId> resting_;
  std::map<WorkerId, WorkerEntry> workers_;
  std::set<WorkerId> leaving_early_;  ///< Said to be leaving before they were ready.
  int64_t tasks_done_ = 0;
  int64_t retries_ = 0;
  int32_t starting_ = 0;
  int32_t failed_starts_ = 0;
};

/// The rows of `pieces` (in order) from the `from_row`-th on.
std::vector<RowRange> PiecesFrom(const std::vector<RowRange>& pieces, int64_t from_row);
/// The first `rows` rows of `pieces`.
std::vector<RowRange> FirstRows(const std::vector<RowRange>& pieces, int64_t rows);
/// "row 7 of fragment 2", or "rows 5 to 9 of fragment 2", for messages.
std::string DescribeRows(const RowRange& range);
/// `pieces` without the rows of `removed`.
std::vector<RowRange> Without(const std::vector<RowRange>& pieces, const std::vector<RowRange>& removed);

}  // namespace leman
