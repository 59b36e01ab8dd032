// The state of a job and what it has counted so far. The states are documented in docs/states/job.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "model/task_outcome.h"

namespace leman {

enum class JobStatus { kPending, kRunning, kDone, kFailed, kCancelled };

constexpr std::string_view JobStatusName(JobStatus status) {
  switch (status) {
    case JobStatus::kPending:
      return "PENDING";
    case JobStatus::kRunning:
      return "RUNNING";
    case JobStatus::kDone:
      return "DONE";
    case JobStatus::kFailed:
      return "FAILED";
    case JobStatus::kCancelled:
      return "CANCELLED";
  }
  return "FAILED";
}

/// Counters of one job; all only grow, except `workers` and `rows_in_hand`.
struct JobMetrics {
  int64_t rows_total = 0;     ///< Rows the job has to compute, those already checkpointed included.
  int64_t rows_computed = 0;  ///< Rows computed by this run.
  int64_t rows_in_hand = 0;   ///< Computed but not checkpointed yet; goes up and down.
  int64_t rows_resumed = 0;   ///< Rows found in checkpoints of earlier runs.
  int64_t rows_skipped = 0;   ///< Rows left null because of a row failure.
  int64_t rows_committed = 0;
  int64_t checkpoints_written = 0;
  int64_t checkpoint_bytes = 0;
  int64_t tasks_total = 0;
  int64_t tasks_done = 0;
  int64_t fragments_total = 0;
  int64_t fragments_assembled = 0;
  int64_t fragments_committed = 0;
  int64_t fragments_linked = 0;     ///< Assembled by giving the one checkpoint its final name.
  int64_t fragments_stitched = 0;   ///< Assembled by copying pages.
  int64_t fragments_reencoded = 0;  ///< Assembled by decoding and encoding again.
  int64_t bytes_assembled = 0;      ///< Size of the data files made.
  int64_t bytes_copied = 0;         ///< Bytes written by assembly.
  int64_t commits = 0;
  int64_t retries = 0;
  int64_t worker_deaths = 0;
  int32_t workers = 0;
  int64_t assemble_ns = 0;
  int64_t commit_ns = 0;
  int64_t plan_ns = 0;
  WorkTimes work;
};

}  // namespace leman
