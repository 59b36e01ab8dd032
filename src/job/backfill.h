// A backfill job, from a checked request to its end.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "job/job_ports.h"
#include "model/backfill_spec.h"
#include "model/job_state.h"
#include "plan/planner.h"

namespace leman {

struct JobResult {
  JobStatus status = JobStatus::kPending;
  std::optional<Error> error;  ///< With kFailed and kCancelled.
  int64_t version = 0;         ///< The table version after the job's last commit, or the version read.
  int64_t fragments_done_before = 0;
  double duration_s = 0;
  JobMetrics metrics;
};

/// What the job would do now. Reads metadata only, except where a filter has to be counted.
Result<Plan> PlanBackfill(const BackfillSpec& spec, JobPorts& ports);

/// Runs the job; returns when it is done, failed or cancelled. Checkpoints and commits made stay in every case, and the
/// same call resumes. States: docs/states/job.md.
JobResult RunBackfill(const BackfillSpec& spec, JobPorts ports);

/// The folder of a computation's checkpoints, a key of the table's object store.
std::string CheckpointFolder(const BackfillSpec& spec);

}  // namespace leman
