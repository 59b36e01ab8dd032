#include "job/backfill.h"

#include <unistd.h>

#include "commit/table_changes.h"
#include "job/job_loop.h"
#include "job/job_plan.h"

namespace leman {
namespace {

constexpr int kMaxRounds = 20;
constexpr int kMarkAttempts = 6;
constexpr int64_t kFirstMarkPauseNs = 20'000'000;

// Part of the names of temporary files: two drivers, or two runs of one job, never write to the same one.
std::string NameOfWriters(JobRuntime& runtime) {
  return std::to_string(::getpid()) + "x" + std::to_string(runtime.RandomBits());
}

// A job across its rounds.
struct JobRun {
  BackfillSpec spec;  ///< Its read_version moves from round to round.
  JobPorts ports;
  JobLog log;
  CheckpointStore checkpoints;
  JobProgress progress;
  int64_t fragments_done_before = 0;

  JobRun(const BackfillSpec& request, JobPorts job_ports)
      : spec(request),
        ports(job_ports),
        log(request, ports.store, ports.clock),
        checkpoints(ports.store, CheckpointFolder(request)) {
    progress.writers = NameOfWriters(ports.runtime);
  }
};

bool TakesAllFragments(const BackfillSpec& spec) { return !spec.only_rows && !spec.num_frags && spec.skip_frags == 0; }

// One round: plan on the present version, carry the plan out. Returns whether fragments are left to plan again.
Result<bool> RunRound(JobRun& run, ColumnLease& lease, bool first) {
  const int64_t start_ns = run.ports.clock.MonotonicNs();
  const bool carry = !run.progress.carry_refused;
  LEMAN_ASSIGN_OR_RETURN(const Plan plan, PlanOn(run.spec, run.ports.snapshot, run.checkpoints, carry));
  JobMetrics& metrics = run.progress.metrics;
  metrics.plan_ns += run.ports.clock.MonotonicNs() - start_ns;
  metrics.rows_total = metrics.rows_committed + plan.rows_total;
  metrics.fragments_total = metrics.fragments_committed + static_cast<int64_t>(plan.fragments.size());
  if (first) {
    metrics.rows_resumed = plan.rows_resumed;
    run.fragments_done_before = plan.fragments_done;
    run.log.Event("planned " + std::to_string(plan.fragments.size()) + " fragment(s), " +
                  std::to_string(plan.rows_total) + " row(s), " + std::to_string(plan.tasks.size()) + " task(s); " +
                  std::to_string(plan.rows_resumed) + " row(s) found in checkpoints");
  }
  if (plan.fragments.empty()) return false;
  JobLoop loop(run.spec, plan, run.ports, run.log, run.progress, run.checkpoints, lease);
  LEMAN_ASSIGN_OR_RETURN(const int64_t again, loop.Run());
  return again > 0;
}

// After a round that left nothing: whether rows that were there before it have been moved to fragments that it did not
// see. Nothing was in the way of its commits then: to the old fragments such rows are deleted ones.
Result<bool> RowsWereMoved(JobRun& run) {
  LEMAN_ASSIGN_OR_RETURN(const int64_t latest, run.ports.transaction.LatestVersion());
  LEMAN_ASSIGN_OR_RETURN(const auto changes, run.ports.transaction.Changes(run.spec.read_version, latest));
  LEMAN_RETURN_IF_ERROR(CheckSameTable(changes));
  return (TakesAllFragments(run.spec) || run.spec.only_rows) && AnyRowsMoved(changes);
}

// Rows that were listed by their place in the version before may be elsewhere in this one.
Status PlanOnLatest(JobRun& run) {
  const int64_t before = run.spec.read_version;
  LEMAN_ASSIGN_OR_RETURN(run.spec.read_version, run.ports.snapshot.MoveToLatest());
  if (!run.spec.only_rows) return Ok();
  LEMAN_ASSIGN_OR_RETURN(run.spec.only_rows, run.ports.snapshot.RowsNow(*run.spec.only_rows, before));
  return Ok();
}

Status RunRounds(JobRun& run, ColumnLease& lease) {
  for (int round = 0; round < kMaxRounds; ++round) {
    LEMAN_ASSIGN_OR_RETURN(bool again, RunRound(run, lease, round == 0));
    if (!again) {
      LEMAN_ASSIGN_OR_RETURN(again, RowsWereMoved(run));
      if (again) run.log.Event("rows were moved by an update; planning again");
    }
    if (!again) return Ok();
    LEMAN_RETURN_IF_ERROR(PlanOnLatest(run));
  }
  return MakeError(ErrorKind::kConflict, "other writers changed the fragments of the job in each of ", kMaxRounds,
                   " rounds; run it again when they are done");
}

// A dropped table shows in many ways, in most of which nothing speaks of the table.
Error WithTableGone(Error error, JobRun& run) {
  const auto latest = run.ports.transaction.LatestVersion();
  if (error.kind == ErrorKind::kCancelled || latest.ok() || latest.error().kind != ErrorKind::kNotFound) return error;
  return {ErrorKind::kNotFound, "the table '" + run.spec.table_name + "' is gone: it was dropped while the job ran"};
}

// Said twice it is the same, so a lost answer needs no look. Where it cannot be said, the values are there all the
// same, and the names of their files say of which function version they are.
Status MarkDone(JobRun& run) {
  int64_t pause_ns = kFirstMarkPauseNs;
  for (int attempt = 1;; ++attempt, pause_ns *= 2) {
    const Status marked = run.ports.transaction.MarkDone(run.spec.udf_version);
    if (marked.ok()) return marked;
    const ErrorKind kind = marked.error().kind;
    const bool passing =
        kind == ErrorKind::kConflict || kind == ErrorKind::kRetryable || kind == ErrorKind::kUnknownOutcome;
    if (!passing) return marked;
    if (attempt == kMarkAttempts) {
      run.log.Event("the column's metadata does not say that the job is done: " + marked.error().message);
      return Ok();
    }
    run.ports.clock.SleepNs(pause_ns);
  }
}

// Checkpoints of fragments that are no more, after every row that they hold has been committed with others.
void RemoveCarried(JobRun& run) {
  for (const std::string& file_name : run.progress.carried) {
    (void)run.checkpoints.Remove({file_name});
    const auto placed = ParseRegionFileName(file_name);
    if (placed) (void)run.checkpoints.Remove({PagesFileName(placed->range.fragment_id, placed->fragment_key)});
  }
}

bool IsWholeTable(const BackfillSpec& spec) { return !spec.where && TakesAllFragments(spec); }

}  // namespace

std::string CheckpointFolder(const BackfillSpec& spec) { return "_leman/checkpoints/" + ComputationId(spec); }

Result<Plan> PlanBackfill(const BackfillSpec& spec, JobPorts& ports) {
  CheckpointStore checkpoints(ports.store, CheckpointFolder(spec));
  return PlanOn(spec, ports.snapshot, checkpoints);
}

JobResult RunBackfill(const BackfillSpec& spec, JobPorts ports) {
  const auto lease = ColumnLease::Acquire(spec, ports.store, ports.clock);
  if (!lease.ok()) {
    JobResult refused;
    refused.status = JobStatus::kFailed;
    refused.error = lease.error();
    refused.version = spec.read_version;
    return refused;
  }
  JobRun run(spec, ports);
  run.log.ClearCancelRequest();
  run.log.Event("job started");
  if (!spec.checkpoint_root.empty()) run.log.Event("checkpoints are kept in " + spec.checkpoint_root);
  run.log.Write(JobStatus::kRunning, run.progress.metrics, std::nullopt, 0, true);
  Status status = RunRounds(run, **lease);
  if (status.ok() && IsWholeTable(spec) && spec.done_version != spec.udf_version) {
    status = MarkDone(run);
  }
  if (status.ok() && TakesAllFragments(spec)) RemoveCarried(run);
  (void)run.checkpoints.RemoveTemporaries(run.progress.writers);
  JobResult result;
  result.metrics = run.progress.metrics;
  result.version = run.progress.version > 0 ? run.progress.version : spec.read_version;
  result.fragments_done_before = run.fragments_done_before;
  if (status.ok()) {
    result.status = JobStatus::kDone;
    run.log.Event("job completed");
  } else {
    result.error = WithTableGone(status.error(), run);
    result.status = status.error().kind == ErrorKind::kCancelled ? JobStatus::kCancelled : JobStatus::kFailed;
    run.log.Event(std::string("job ") + (result.status == JobStatus::kFailed ? "failed" : "cancelled"));
  }
  result.duration_s = run.log.duration_s();
  run.log.Write(result.status, result.metrics, result.error, result.version, true);
  run.log.ClearCancelRequest();
  (void)ports.host.OnProgress(result.metrics, "finished");
  return result;
}

}  // namespace leman
