// Scheduler: what is lost, what is to blame, and when it is tried again.
#include <algorithm>
#include <utility>

#include "schedule/scheduler.h"

namespace leman {

Scheduler::Commands Scheduler::OnWorkerLost(WorkerId worker, const WorkerLoss& loss) {
  Commands commands;
  const auto found = workers_.find(worker);
  leaving_early_.erase(worker);
  if (found == workers_.end()) {
    starting_ = std::max(0, starting_ - 1);
    if (++failed_starts_ >= options_.max_failed_starts) {
      Error error = MakeError(ErrorKind::kInternal, "worker processes die before they are ready, ", failed_starts_,
                              " times in a row; the last one: ", loss.reason);
      if (loss.error_type != "WorkerCrashError") error.name = loss.error_type;
      commands.push_back(FailJob{std::move(error)});
      return commands;
    }
  } else {
    const std::deque<TaskId> assigned = std::move(found->second.assigned);
    workers_.erase(found);
    for (size_t i = assigned.size(); i-- > 0;) {
      const bool was_running = i < static_cast<size_t>(options_.threads_per_worker);
      const bool blamed = !loss.planned && (loss.task < 0 ? was_running : loss.task == assigned[i]);
      Requeue(tasks_[static_cast<size_t>(assigned[i])], blamed, loss, commands);
    }
  }
  StartMore(static_cast<int64_t>(pending_.size()), commands);
  Dispatch(commands);
  return commands;
}

// The task is nobody's any more; what is acknowledged of it is done.
void Scheduler::TakeOff(TaskEntry& entry) {
  if (!entry.checkpointed.empty()) {  // It went on since the last time: whatever is to blame lies further on.
    entry.deaths = 0;
    entry.faults = 0;
  }
  entry.task.pieces = Without(entry.task.pieces, entry.checkpointed);
  entry.checkpointed.clear();
  entry.rows_done = 0;
  entry.first_progress_ns = entry.last_progress_ns = entry.quiet_since_ns = -1;
  entry.shrinking = false;
  entry.worker = -1;
  ++entry.task.attempt;
  if (entry.task.pieces.empty()) {  // All was checkpointed; only the last word is missing.
    entry.state = TaskState::kDone;
    ++tasks_done_;
    return;
  }
  entry.state = TaskState::kPending;
}

void Scheduler::Requeue(TaskEntry& entry, bool blamed, const WorkerLoss& loss, Commands& commands) {
  TakeOff(entry);
  if (entry.state == TaskState::kDone) return;
  constexpr int32_t kMaxDeathsOfNothing = 20;
  if (blamed && entry.task.given_up && ++entry.faults >= kMaxDeathsOfNothing) {
    commands.push_back(
        FailJob{MakeError(ErrorKind::kInternal, "workers die on ", DescribeRows(entry.task.pieces.front()),
                          ", on which no function is called any more: ", loss.reason)});
  }
  if (blamed && !entry.task.given_up) {
    ++retries_;
    ++entry.deaths;
    ++entry.attempts_lost;
    if (loss.rows) Isolate(entry, *loss.rows);
  }
  if (entry.task.given_up || entry.deaths < (entry.suspect ? 1 : options_.max_attempts)) {
    pending_.push_front(entry.task.id);
  } else {
    Bisect(entry, loss, commands);
  }
}

// Leaves `entry` with `rows` alone, as far as it has them; the others become a task of their own.
void Scheduler::Isolate(TaskEntry& entry, const RowRange& rows) {
  auto others = Without(entry.task.pieces, {rows});
  auto blamed = Without(entry.task.pieces, others);
  if (blamed.empty()) return;
  entry.task.pieces = std::move(blamed);
  entry.suspect = true;
  if (!others.empty()) AddTask(std::move(others), false);
}

void Scheduler::Bisect(TaskEntry& entry, const WorkerLoss& loss, Commands& commands) {
  const int64_t rows = entry.task.rows();
  entry.deaths = 0;
  entry.suspect = true;
  if (rows == 1) {
    entry.state = TaskState::kBlamed;
    RowFailure failure{loss.error_type, loss.reason, entry.attempts_lost};
    commands.push_back(BlameRow{entry.task.id, entry.task.pieces.front(), std::move(failure)});
    return;
  }
  auto second = PiecesFrom(entry.task.pieces, rows / 2);
  entry.task.pieces = FirstRows(entry.task.pieces, rows / 2);
  pending_.push_front(entry.task.id);
  const int32_t attempts_lost = entry.attempts_lost;
  const TaskId id = AddTask(std::move(second), true);
  tasks_[static_cast<size_t>(id)].attempts_lost = attempts_lost;
}

Scheduler::Commands Scheduler::GiveUp(TaskId task, const RowFailure& failure) {
  tasks_[static_cast<size_t>(task)].task.given_up = failure;
  return TryAgain(task);
}

Scheduler::Commands Scheduler::TryAgain(TaskId task) {
  Commands commands;
  TaskEntry& entry = tasks_[static_cast<size_t>(task)];
  if (entry.state != TaskState::kBlamed) return commands;
  entry.state = TaskState::kPending;
  pending_.push_front(task);
  StartMore(static_cast<int64_t>(pending_.size()), commands);
  Dispatch(commands);
  return commands;
}

Scheduler::Commands Scheduler::OnPassingFault(WorkerId worker, TaskId task, int32_t attempt, const Error& error,
                                              int64_t now_ns) {
  Commands commands;
  TaskEntry* entry = Current(worker, task, attempt);
  if (entry == nullptr) return commands;
  Unassign(worker, task);
  TakeOff(*entry);
  if (entry->state != TaskState::kDone) {
    ++retries_;
    if (++entry->faults >= options_.max_faults) {
      commands.push_back(FailJob{error.WithContext(DescribeRows(entry->task.pieces.front()) + ", tried " +
                                                   std::to_string(entry->faults) + " times")});
      return commands;
    }
    entry->state = TaskState::kResting;
    entry->due_ns = now_ns + (options_.first_pause_ns << (entry->faults - 1));
    resting_.push_back(task);
  }
  Dispatch(commands);
  return commands;
}

void Scheduler::EndRests(int64_t now_ns) {
  const auto due = [&](TaskId id) {
    TaskEntry& entry = tasks_[static_cast<size_t>(id)];
    if (entry.due_ns > now_ns) return false;
    entry.state = TaskState::kPending;
    pending_.push_front(id);
    return true;
  };
  resting_.erase(std::remove_if(resting_.begin(), resting_.end(), due), resting_.end());
}

void Scheduler::ReplaceStalled(int64_t now_ns, Commands& commands) {
  for (const auto& [id, worker] : workers_) {
    for (size_t i = 0; i < worker.assigned.size() && i < static_cast<size_t>(options_.threads_per_worker); ++i) {
      TaskEntry& entry = tasks_[static_cast<size_t>(worker.assigned[i])];
      if (entry.quiet_since_ns < 0) entry.quiet_since_ns = now_ns;
      if (now_ns - entry.quiet_since_ns <= options_.stall_ns) continue;
      constexpr int64_t kNsPerMs = 1'000'000;
      WorkerLoss loss("made no progress for " + std::to_string(options_.stall_ns / kNsPerMs) +
                      " ms, the job's stall_timeout");
      loss.error_type = "WorkerStallError";
      loss.task = entry.task.id;
      commands.push_back(ReplaceWorker{id, std::move(loss)});
      break;
    }
  }
}

// Asks for the tasks that wait behind others, while somebody idles; the answer is OnShrunk with no row kept.
int64_t Scheduler::TakeBackQueued(int64_t idle, Commands& commands) {
  int64_t asked = 0;
  for (const auto& [id, worker] : workers_) {
    for (size_t i = worker.assigned.size(); i-- > static_cast<size_t>(options_.threads_per_worker);) {
      TaskEntry& entry = tasks_[static_cast<size_t>(worker.assigned[i])];
      if (asked >= idle) return asked;
      if (entry.shrinking) continue;
      entry.shrinking = true;
      commands.push_back(ShrinkTask{id, entry.task.id, entry.task.attempt, 0});
      ++asked;
    }
  }
  return asked;
}

}  // namespace leman
