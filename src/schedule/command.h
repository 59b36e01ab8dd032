// What the scheduler asks of the world.
#pragma once

#include <cstdint>
#include <variant>

#include "base/result.h"
#include "model/task.h"

namespace leman {

using WorkerId = int32_t;

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
/// The job cannot go on.
struct FailJob {
  Error error;
};

using Command = std::variant<AssignTask, ShrinkTask, StartWorkers, FailJob>;

}  // namespace leman
