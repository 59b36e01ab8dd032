#include "schedule/scheduler.h"

#include <algorithm>
#include <utility>

namespace leman {
namespace {

// A worker gets a second task in advance, so that it never waits for an answer, while there are this many more.
constexpr size_t kPendingPerThreadToQueueAhead = 4;

int64_t RowsOf(const std::vector<RowRange>& pieces) { return Task{0, 1, pieces, {}}.rows(); }

}  // namespace

Scheduler::Scheduler(SchedulerOptions options, std::vector<Task> tasks) : options_(options) {
  for (Task& task : tasks) AddTask(std::move(task.pieces), false);
}

TaskId Scheduler::AddTask(std::vector<RowRange> pieces, bool suspect) {
  const auto id = static_cast<TaskId>(tasks_.size());
  TaskEntry entry;
  entry.task = Task{id, 1, std::move(pieces), {}};
  entry.suspect = suspect;
  tasks_.push_back(std::move(entry));
  pending_.push_back(id);
  return id;
}

Scheduler::Commands Scheduler::Start() {
  Commands commands;
  StartMore(static_cast<int64_t>(pending_.size()), commands);
  return commands;
}

void Scheduler::StartMore(int64_t wanted_threads, Commands& commands) {
  const int64_t threads = options_.threads_per_worker;
  const int64_t present = WorkersThatStay() + starting_;
  const int64_t wanted = std::min<int64_t>((wanted_threads + threads - 1) / threads, options_.max_workers - present);
  if (wanted <= 0) return;
  starting_ += static_cast<int32_t>(wanted);
  commands.push_back(StartWorkers{static_cast<int32_t>(wanted)});
}

Scheduler::TaskEntry* Scheduler::Current(WorkerId worker, TaskId task, int32_t attempt) {
  if (task < 0 || task >= static_cast<TaskId>(tasks_.size())) return nullptr;
  TaskEntry& entry = tasks_[static_cast<size_t>(task)];
  const bool current = entry.state == TaskState::kAssigned && entry.worker == worker && entry.task.attempt == attempt;
  return current ? &entry : nullptr;
}

Scheduler::Commands Scheduler::OnWorkerReady(WorkerId worker) {
  Commands commands;
  starting_ = std::max(0, starting_ - 1);
  failed_starts_ = 0;
  workers_[worker].leaving = leaving_early_.erase(worker) > 0;
  if (workers_[worker].leaving) StartMore(static_cast<int64_t>(pending_.size()), commands);
  RetireIdle(commands);
  Dispatch(commands);
  return commands;
}

void Scheduler::Dispatch(Commands& commands) {
  for (auto& [id, worker] : workers_) {
    while (!worker.leaving && !pending_.empty() &&
           static_cast<int32_t>(worker.assigned.size()) < options_.threads_per_worker) {
      AssignTo(id, commands);
    }
  }
  for (auto& [id, worker] : workers_) DispatchTo(id, commands);
}

void Scheduler::DispatchTo(WorkerId worker, Commands& commands) {
  if (workers_.at(worker).leaving) return;
  const std::deque<TaskId>& assigned = workers_.at(worker).assigned;
  while (!pending_.empty() && static_cast<int32_t>(assigned.size()) < options_.threads_per_worker) {
    AssignTo(worker, commands);
  }
  const size_t threads = workers_.size() * static_cast<size_t>(options_.threads_per_worker);
  while (pending_.size() > threads * kPendingPerThreadToQueueAhead &&
         static_cast<int32_t>(assigned.size()) < 2 * options_.threads_per_worker) {
    AssignTo(worker, commands);
  }
}

void Scheduler::AssignTo(WorkerId worker, Commands& commands) {
  const TaskId id = pending_.front();
  pending_.pop_front();
  TaskEntry& entry = tasks_[static_cast<size_t>(id)];
  entry.state = TaskState::kAssigned;
  entry.worker = worker;
  workers_[worker].assigned.push_back(id);
  commands.push_back(AssignTask{worker, entry.task});
}

Scheduler::Commands Scheduler::OnProgress(WorkerId worker, TaskId task, int32_t attempt, int64_t rows_done,
                                          int64_t now_ns) {
  if (TaskEntry* entry = Current(worker, task, attempt)) {
    entry->rows_done = std::max(entry->rows_done, rows_done);
    if (entry->first_progress_ns < 0) {
      entry->first_progress_ns = now_ns;
      entry->first_progress_rows = entry->rows_done;
    }
    entry->last_progress_ns = now_ns;
    entry->quiet_since_ns = -1;
  }
  return {};
}

bool Scheduler::OnCheckpoint(TaskId task, int32_t attempt, const RowRange& range) {
  if (task < 0 || task >= static_cast<TaskId>(tasks_.size())) return false;
  TaskEntry& entry = tasks_[static_cast<size_t>(task)];
  if (entry.state != TaskState::kAssigned || entry.task.attempt != attempt || range.rows() <= 0) return false;
  const auto holds = [&range](const RowRange& piece) {
    return piece.fragment_id == range.fragment_id && piece.start <= range.start && range.end <= piece.end;
  };
  const auto overlaps = [&range](const RowRange& other) {
    return other.fragment_id == range.fragment_id && other.start < range.end && range.start < other.end;
  };
  if (std::none_of(entry.task.pieces.begin(), entry.task.pieces.end(), holds)) return false;
  if (std::any_of(entry.checkpointed.begin(), entry.checkpointed.end(), overlaps)) return false;
  entry.checkpointed.push_back(range);
  entry.quiet_since_ns = -1;
  return true;
}

Scheduler::Commands Scheduler::OnTaskDone(WorkerId worker, TaskId task, int32_t attempt) {
  Commands commands;
  TaskEntry* entry = Current(worker, task, attempt);
  if (entry == nullptr) return commands;
  const auto left = Without(entry->task.pieces, entry->checkpointed);
  if (!left.empty()) {
    commands.push_back(FailJob{MakeError(ErrorKind::kInternal, "worker ", worker, " said that task ", task,
                                         " is done, but has not checkpointed ", DescribeRows(left.front()))});
    return commands;
  }
  entry->state = TaskState::kDone;
  ++tasks_done_;
  Unassign(worker, task);
  DispatchTo(worker, commands);  // nobody else has room, or there would be nothing pending
  RetireIdle(commands);
  return commands;
}

void Scheduler::Unassign(WorkerId worker, TaskId task) {
  auto& assigned = workers_[worker].assigned;
  assigned.erase(std::remove(assigned.begin(), assigned.end(), task), assigned.end());
}

Scheduler::Commands Scheduler::OnShrunk(WorkerId worker, TaskId task, int32_t attempt, int64_t kept_rows) {
  Commands commands;
  TaskEntry* entry = Current(worker, task, attempt);
  if (entry == nullptr) return commands;
  entry->shrinking = false;
  if (kept_rows >= entry->task.rows() || kept_rows < 0) return commands;
  auto rest = PiecesFrom(entry->task.pieces, kept_rows);
  entry->task.pieces = FirstRows(entry->task.pieces, kept_rows);
  const bool suspect = entry->suspect;
  AddTask(std::move(rest), suspect);
  if (workers_.at(worker).leaving) StartMore(static_cast<int64_t>(pending_.size()), commands);
  Dispatch(commands);
  return commands;
}

int64_t Scheduler::RemainingNs(const TaskEntry& entry) const {
  const int64_t rows = entry.rows_done - entry.first_progress_rows;
  const int64_t elapsed = entry.last_progress_ns - entry.first_progress_ns;
  const int64_t remaining = entry.task.rows() - entry.rows_done;
  if (rows <= 0 || elapsed <= 0) return 0;
  return static_cast<int64_t>(static_cast<double>(elapsed) / static_cast<double>(rows) *
                              static_cast<double>(remaining));
}

int64_t Scheduler::IdleThreads() const {
  int64_t idle = 0;
  for (const auto& [id, worker] : workers_) {
    if (worker.leaving) continue;
    idle += std::max<int64_t>(0, options_.threads_per_worker - static_cast<int64_t>(worker.assigned.size()));
  }
  return idle;
}

Scheduler::Commands Scheduler::OnTick(int64_t now_ns) {
  Commands commands;
  EndRests(now_ns);
  RetireIdle(commands);
  // Those that leave may all be gone before the last of them has said what it leaves.
  if (WorkersThatStay() + starting_ == 0) StartMore(static_cast<int64_t>(pending_.size()), commands);
  Dispatch(commands);
  if (pending_.empty() && !finished()) SplitForIdle(now_ns, commands);
  if (options_.stall_ns > 0) ReplaceStalled(now_ns, commands);
  return commands;
}

void Scheduler::SplitForIdle(int64_t now_ns, Commands& commands) {
  std::vector<std::pair<int64_t, TaskEntry*>> candidates;
  const int64_t taken_back = TakeBackQueued(IdleThreads(), commands);
  for (const auto& [id, worker] : workers_) {
    for (const TaskId task : worker.assigned) {
      TaskEntry& entry = tasks_[static_cast<size_t>(task)];
      const int64_t remaining_rows = entry.task.rows() - entry.rows_done;
      if (entry.shrinking || remaining_rows < 2) continue;
      // A task that was silent for long is slow, whatever its rate was before.
      const int64_t silent = entry.last_progress_ns < 0 ? 0 : now_ns - entry.last_progress_ns;
      const int64_t remaining = std::max(RemainingNs(entry), silent);
      if (remaining > options_.split_above_ns) candidates.emplace_back(remaining, &entry);
    }
  }
  if (candidates.empty()) return;
  std::sort(candidates.begin(), candidates.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  // Workers that are not there yet are started for the work that is worth sharing; the split follows once they idle.
  int64_t total_ns = 0;
  for (const auto& [remaining, entry] : candidates) total_ns += remaining;
  const auto busy = static_cast<int64_t>(workers_.size()) * options_.threads_per_worker - IdleThreads();
  const int64_t worthwhile =
      total_ns / options_.split_above_ns - busy - IdleThreads() - int64_t{starting_} * options_.threads_per_worker;
  StartMore(worthwhile, commands);
  int64_t idle = IdleThreads() - taken_back;
  for (const auto& [remaining, entry] : candidates) {
    if (idle-- <= 0) return;
    entry->shrinking = true;
    const int64_t keep = entry->rows_done + (entry->task.rows() - entry->rows_done) / 2;
    commands.push_back(ShrinkTask{entry->worker, entry->task.id, entry->task.attempt, keep});
  }
}

int64_t Scheduler::RowsInHand() const {
  int64_t rows = 0;
  for (const auto& [id, worker] : workers_) {
    for (const TaskId task : worker.assigned) {
      const TaskEntry& entry = tasks_[static_cast<size_t>(task)];
      rows += std::max<int64_t>(0, entry.rows_done - RowsOf(entry.checkpointed));
    }
  }
  return rows;
}

std::vector<RowRange> Scheduler::RunningOn(WorkerId worker) const {
  std::vector<RowRange> rows;
  const auto found = workers_.find(worker);
  if (found == workers_.end()) return rows;
  for (size_t i = 0; i < found->second.assigned.size() && i < static_cast<size_t>(options_.threads_per_worker); ++i) {
    const TaskEntry& entry = tasks_[static_cast<size_t>(found->second.assigned[i])];
    const auto left = Without(entry.task.pieces, entry.checkpointed);
    if (!left.empty()) rows.push_back(left.front());
  }
  return rows;
}

}  // namespace leman
