#include "job/backfill.h"

#include "job/job_loop.h"

namespace leman {
namespace {

constexpr int kMaxRounds = 20;

// Which fragments need their filter counted, and with which filter; all of a job's filters are the same.
Result<std::map<int64_t, int64_t>> CountSelected(const BackfillSpec& spec, const std::vector<FragmentInfo>& fragments,
                                                 TableSnapshot& snapshot) {
  std::vector<int64_t> ids;
  std::string filter;
  for (const FragmentInfo& fragment : SelectFragments(spec, fragments)) {
    const FragmentDecision decision = DecideFragment(spec, fragment);
    if (decision.need != FragmentDecision::Need::kFilter) continue;
    ids.push_back(fragment.id);
    filter = decision.filter;
  }
  if (ids.empty()) return std::map<int64_t, int64_t>{};
  return snapshot.CountSelected(filter, ids);
}

Result<Plan> MakePlanOn(const BackfillSpec& spec, TableSnapshot& snapshot, CheckpointStore& checkpoints) {
  LEMAN_ASSIGN_OR_RETURN(const std::vector<FragmentInfo> fragments, snapshot.Fragments());
  LEMAN_ASSIGN_OR_RETURN(const auto selected, CountSelected(spec, fragments, snapshot));
  LEMAN_ASSIGN_OR_RETURN(std::vector<StoredCheckpoint> stored, checkpoints.List());
  return MakePlan(spec, fragments, selected, CheckpointIndex(std::move(stored)));
}

// A job's progress across its rounds.
struct JobRun {
  BackfillSpec spec;
  JobPorts ports;
  JobLog log;
  CheckpointStore checkpoints;
  JobResult result;

  JobRun(const BackfillSpec& request, JobPorts job_ports)
      : spec(request),
        ports(job_ports),
        log(spec, ports.store, ports.clock),
        checkpoints(ports.store, CheckpointFolder(request)) {}
};

// One round: plan on the present version, carry the plan out. Returns whether fragments are left to plan again.
Result<bool> RunRound(JobRun& run, bool first) {
  const int64_t start_ns = run.ports.clock.MonotonicNs();
  LEMAN_ASSIGN_OR_RETURN(const Plan plan, MakePlanOn(run.spec, run.ports.snapshot, run.checkpoints));
  JobMetrics& metrics = run.result.metrics;
  metrics.plan_ns += run.ports.clock.MonotonicNs() - start_ns;
  if (first) {
    metrics.rows_total = plan.rows_total;
    metrics.rows_resumed = plan.rows_resumed;
    metrics.fragments_total = static_cast<int64_t>(plan.fragments.size());
    run.result.fragments_done_before = plan.fragments_done;
    run.log.Event("planned " + std::to_string(plan.fragments.size()) + " fragment(s), " +
                  std::to_string(plan.rows_total) + " row(s), " + std::to_string(plan.tasks.size()) + " task(s); " +
                  std::to_string(plan.rows_resumed) + " row(s) found in checkpoints");
  }
  if (plan.fragments.empty()) return false;
  JobLoop loop(run.spec, plan, run.ports, run.log, metrics, run.checkpoints);
  LEMAN_ASSIGN_OR_RETURN(const LoopOutcome outcome, loop.Run());
  if (outcome.version > 0) run.result.version = outcome.version;
  return !outcome.conflicted.empty();
}

Status RunRounds(JobRun& run) {
  for (int round = 0; round < kMaxRounds; ++round) {
    LEMAN_ASSIGN_OR_RETURN(const bool again, RunRound(run, round == 0));
    if (!again) return Ok();
    LEMAN_ASSIGN_OR_RETURN(run.spec.read_version, run.ports.snapshot.MoveToLatest());
  }
  return MakeError(ErrorKind::kConflict, "other writers changed the fragments of the job in each of ", kMaxRounds,
                   " rounds; run it again when they are done");
}

bool IsWholeTable(const BackfillSpec& spec) { return !spec.where && !spec.num_frags && spec.skip_frags == 0; }

}  // namespace

std::string CheckpointFolder(const BackfillSpec& spec) { return "_leman/checkpoints/" + ComputationId(spec); }

Result<Plan> PlanBackfill(const BackfillSpec& spec, JobPorts& ports) {
  CheckpointStore checkpoints(ports.store, CheckpointFolder(spec));
  return MakePlanOn(spec, ports.snapshot, checkpoints);
}

JobResult RunBackfill(const BackfillSpec& spec, JobPorts ports) {
  JobRun run(spec, ports);
  run.result.version = spec.read_version;
  run.log.ClearCancelRequest();
  run.log.Event("job started");
  run.log.Write(JobStatus::kRunning, run.result.metrics, std::nullopt, 0, true);
  Status status = RunRounds(run);
  if (status.ok() && IsWholeTable(spec) && spec.done_version != spec.udf_version) {
    status = ports.transaction.MarkDone(spec.udf_version);
  }
  (void)run.checkpoints.RemoveTemporaries();
  JobResult& result = run.result;
  if (status.ok()) {
    result.status = JobStatus::kDone;
    run.log.Event("job completed");
  } else {
    result.error = status.error();
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
