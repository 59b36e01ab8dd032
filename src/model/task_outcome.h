// What a worker tells the coordinator about a task.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/row_range.h"
#include "model/task.h"

namespace leman {

/// Where the time of a piece of work went; all in nanoseconds except the counts.
struct WorkTimes {
  int64_t read_ns = 0;
  int64_t udf_ns = 0;
  int64_t write_ns = 0;
  int64_t udf_calls = 0;
  int64_t bytes_read = 0;
  int64_t null_inputs = 0;     ///< Rows left null without a call: an argument that takes no null was null.
  int64_t bytes_staged = 0;    ///< Of checkpoints that were files first and then copied to where they stay.
  int64_t batches_shrunk = 0;  ///< Calls on fewer rows than wanted, to stay within the worker's memory.

  void Add(const WorkTimes& other) {
    read_ns += other.read_ns;
    udf_ns += other.udf_ns;
    write_ns += other.write_ns;
    udf_calls += other.udf_calls;
    bytes_read += other.bytes_read;
    null_inputs += other.null_inputs;
    bytes_staged += other.bytes_staged;
    batches_shrunk += other.batches_shrunk;
  }
};

/// A row whose function failed and that was left null, as the row-failure policy says.
struct SkippedRow {
  int64_t fragment_id = 0;
  int64_t row = 0;  ///< Physical row of the fragment.
  std::string error_type;
  std::string message;
  std::string traceback;
  int64_t attempts = 1;
};

/// One durable checkpoint: acknowledged work, never to be computed again.
struct CheckpointDone {
  TaskId task = 0;
  int32_t attempt = 0;
  RowRange range;
  std::string path;
  int64_t rows_computed = 0;  ///< Selected rows of the range.
  int64_t size_bytes = 0;
  WorkTimes times;
  std::vector<SkippedRow> skipped;
};

/// A task that could not go on.
struct TaskFailed {
  TaskId task = 0;
  int32_t attempt = 0;
  Error error;
  RowRange where;  ///< The rows in hand; a single row where it is known.
};

}  // namespace leman
