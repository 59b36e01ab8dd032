// What the scheduler asks of the world.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "base/result.h"
#include "model/task.h"

namespace leman {

using WorkerId = int32_t;

/// How a worker was lost, and what is to blame for it.
struct WorkerLoss {
  WorkerLoss(std::string why) : reason(std::move(why)) {}        // NOLINT(google-explicit-constructor)
  WorkerLoss(const char* why) : WorkerLoss(std::string(why)) {}  // NOLINT(google-explicit-constructor)

  std::string reason;                           ///< E.g. "killed by signal 9 (Killed)".
  std::string error_type = "WorkerCrashError";  ///< As what a row that is to blame meets its policy.
  TaskId task = -1;                             ///< The only task to blame; -1: those that were running.
  std::optional<RowRange> rows;                 ///< Of it, the rows to blame, where the worker said so.
  bool planned = false;                         ///< The worker ended itself in good order: no task is to blame.
};

/// Hand `task` to a worker.
struct AssignTask {
  WorkerId worker = 0;
  Task task;
};
/// Ask a worker to end `task` after its first `keep_rows` rows; it answers with what it keeps.
struct ShrinkTask {
  WorkerId worker = 0;
  TaskId task = 0;
  int32_t attempt = 0;
  int64_t keep_rows = 0;
};
/// Start more workers.
struct StartWorkers {
  int32_t count = 0;
};
/// A row ends its workers again and again: the answer is Scheduler::GiveUp, TryAgain, or the job's end.
struct BlameRow {
  TaskId task = 0;
  RowRange row;
  RowFailure failure;
};
/// End a worker that makes no progress; Scheduler::OnWorkerLost follows, with `loss`.
struct ReplaceWorker {
  WorkerId worker = 0;
  WorkerLoss loss;
};
/// Let go of a worker that has nothing in hand any more; the scheduler has forgotten it.
struct RetireWorker {
  WorkerId worker = 0;
};
/// The job cannot go on.
struct FailJob {
  Error error;
};

using Command = std::variant<AssignTask, ShrinkTask, StartWorkers, BlameRow, ReplaceWorker, RetireWorker, FailJob>;

}  // namespace leman
