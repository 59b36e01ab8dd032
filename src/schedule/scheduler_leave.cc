// Scheduler: workers whose machines are about to go.
#include <algorithm>
#include <utility>

#include "schedule/scheduler.h"

namespace leman {

int64_t Scheduler::WorkersThatStay() const {
  return std::count_if(workers_.begin(), workers_.end(), [](const auto& worker) { return !worker.second.leaving; });
}

Scheduler::Commands Scheduler::OnWorkerLeaving(WorkerId worker) {
  Commands commands;
  const auto found = workers_.find(worker);
  if (found == workers_.end()) {
    leaving_early_.insert(worker);
    return commands;
  }
  if (std::exchange(found->second.leaving, true)) return commands;
  const std::deque<TaskId>& assigned = found->second.assigned;
  for (size_t i = 0; i < assigned.size(); ++i) {
    TaskEntry& entry = tasks_[static_cast<size_t>(assigned[i])];
    // A running task ends after what is computed, of which the worker knows better; one in line has not begun.
    const bool running = i < static_cast<size_t>(options_.threads_per_worker);
    entry.shrinking = true;
    commands.push_back(
        ShrinkTask{worker, entry.task.id, entry.task.attempt, running ? std::max<int64_t>(1, entry.rows_done) : 0});
  }
  StartMore(static_cast<int64_t>(pending_.size() + assigned.size()), commands);
  RetireIdle(commands);
  return commands;
}

void Scheduler::RetireIdle(Commands& commands) {
  for (auto at = workers_.begin(); at != workers_.end();) {
    if (!at->second.leaving || !at->second.assigned.empty()) {
      ++at;
      continue;
    }
    commands.push_back(RetireWorker{at->first});
    at = workers_.erase(at);
  }
}

}  // namespace leman
