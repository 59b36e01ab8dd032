// The state of a job and what it has counted so far. The states are documented in docs/states/job.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "model/assembly_bytes.h"
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
  int64_t fragments_placed = 0;     ///< Assembled of checkpoints that were written where they stay.
  int64_t fragments_stitched = 0;   ///< Assembled by copying pages.
  int64_t fragments_reencoded = 0;  ///< Assembled by decoding and encoding again.
  int64_t bytes_assembled = 0;      ///< Size of the data files made.
  int64_t bytes_in_assembly = 0;    ///< Written for data files that are not complete yet; goes up and down.
  AssemblyBytes assembly;           ///< How they came to their place.
  int64_t commits = 0;
  int64_t retries = 0;
  int64_t worker_deaths = 0;
  int64_t workers_recycled = 0;  ///< Replaced since they held too much memory.
  int32_t workers = 0;
  int64_t assemble_ns = 0;
  int64_t commit_ns = 0;
  int64_t plan_ns = 0;
  WorkTimes work;

  /// To storage, by checkpoints and by assembly.
  [[nodiscard]] int64_t bytes_written() const { return checkpoint_bytes + work.bytes_staged + assembly.written(); }
  /// bytes_written over the size of the data files made; 0 before there is one.
  [[nodiscard]] double write_amplification() const {
    return bytes_assembled > 0 ? static_cast<double>(bytes_written()) / static_cast<double>(bytes_assembled) : 0.0;
  }
};

/// Calls `count(name, integer)` or `real(name, double)` for each metric that has one name everywhere: in the job's
/// record and in its result.
template <typename Count, typename Real>
void VisitMetrics(const JobMetrics& m, const Count& count, const Real& real) {
  const auto nanoseconds = [&real](const char* name, int64_t ns) { real(name, static_cast<double>(ns) / 1e9); };
  count("rows_total", m.rows_total);
  count("rows_computed", m.rows_computed);
  count("rows_skipped", m.rows_skipped);
  count("rows_committed", m.rows_committed);
  count("fragments_total", m.fragments_total);
  count("fragments_assembled", m.fragments_assembled);
  count("fragments_committed", m.fragments_committed);
  count("fragments_linked", m.fragments_linked);
  count("fragments_placed", m.fragments_placed);
  count("fragments_stitched", m.fragments_stitched);
  count("fragments_reencoded", m.fragments_reencoded);
  count("checkpoints", m.checkpoints_written);
  count("checkpoint_bytes", m.checkpoint_bytes);
  count("bytes_assembled", m.bytes_assembled);
  count("bytes_placed", m.assembly.placed);
  count("bytes_linked", m.assembly.linked);
  count("bytes_reflinked", m.assembly.reflinked);
  count("bytes_copied", m.assembly.copied);
  count("bytes_streamed", m.assembly.streamed);
  count("bytes_reencoded", m.assembly.reencoded);
  count("bytes_written", m.bytes_written());
  real("write_amplification", m.write_amplification());
  count("bytes_read", m.work.bytes_read);
  count("tasks_total", m.tasks_total);
  count("tasks_done", m.tasks_done);
  count("tasks_retried", m.retries);
  count("workers", m.workers);
  count("worker_deaths", m.worker_deaths);
  count("workers_recycled", m.workers_recycled);
  count("commits", m.commits);
  count("udf_calls", m.work.udf_calls);
  count("batches_shrunk", m.work.batches_shrunk);
  count("rows_null_input", m.work.null_inputs);
  nanoseconds("read_s", m.work.read_ns);
  nanoseconds("udf_s", m.work.udf_ns);
  nanoseconds("checkpoint_s", m.work.write_ns);
  nanoseconds("assemble_s", m.assemble_ns);
  nanoseconds("commit_s", m.commit_ns);
  nanoseconds("plan_s", m.plan_ns);
}

}  // namespace leman
