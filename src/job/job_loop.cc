#include "job/job_loop.h"

#include <poll.h>

#include <algorithm>
#include <sstream>
#include <utility>

#include "plan/carried_checkpoints.h"

namespace leman {
namespace {

constexpr int kPollMs = 50;
constexpr int64_t kTickNs = 50'000'000;
constexpr int64_t kProgressNs = 100'000'000;
constexpr int64_t kWindDownNs = 800'000'000;
constexpr int kAssemblyThreads = 2;
constexpr double kNsPerSecond = 1e9;

SchedulerOptions OptionsOf(const BackfillSpec& spec, const WorkerPool& pool) {
  SchedulerOptions options;
  options.max_workers = spec.concurrency;
  options.threads_per_worker = spec.intra_applier_concurrency;
  // A machine that dies takes all the workers along that were just starting on it.
  if (pool.heartbeat().lease_ns > 0) options.max_failed_starts += spec.concurrency;
  if (spec.stall_timeout_s) options.stall_ns = static_cast<int64_t>(*spec.stall_timeout_s * kNsPerSecond);
  return options;
}

}  // namespace

JobLoop::JobLoop(const BackfillSpec& spec, const Plan& plan, JobPorts ports, JobLog& log, JobProgress& progress,
                 CheckpointStore& checkpoints, ColumnLease& lease)
    : spec_(spec),
      plan_(plan),
      ports_(ports),
      log_(log),
      progress_(progress),
      metrics_(progress.metrics),
      checkpoints_(checkpoints),
      lease_(lease),
      scheduler_(OptionsOf(spec, ports.pool), plan.tasks),
      commit_queue_(spec.commit_granularity),
      committer_(ports.transaction, ports.clock, spec.job_id, spec.read_version),
      committing_(ports.runtime.StartThreads(1)),
      assembling_(ports.runtime.StartThreads(kAssemblyThreads)) {}

JobLoop::~JobLoop() {
  StopWorkers();
  assembling_.reset();
  committing_.reset();
}

Result<int64_t> JobLoop::Run() {
  if (spec_.timeout_s) {
    deadline_ns_ = ports_.clock.MonotonicNs() + static_cast<int64_t>((*spec_.timeout_s - log_.duration_s()) * 1e9);
  }
  LEMAN_ASSIGN_OR_RETURN(host_payload_, ports_.host.WorkerPayload());
  metrics_base_tasks_total_ = metrics_.tasks_total;
  metrics_base_tasks_done_ = metrics_.tasks_done;
  metrics_base_retries_ = metrics_.retries;
  Obey(scheduler_.Start());
  Prepare();
  while (!finished()) {
    if (const Status status = LoopOnce(); !status.ok()) Fail(status.error());
    if (failure_) break;
  }
  WindDown();
  StopWorkers();
  Drain();
  Tick();
  if (failure_) return *failure_;
  return fragments_again_;
}

// The job ends early. What its workers have computed and can put away soon is not lost.
void JobLoop::WindDown() {
  if (!failure_ || (failure_->kind != ErrorKind::kCancelled && failure_->kind != ErrorKind::kUserFunction)) return;
  ending_tasks_.emplace();
  for (const auto& [id, worker] : workers_) {
    if (!worker->ready) continue;
    for (const Command& command : scheduler_.OnWorkerLeaving(id)) {
      const auto* shrink = std::get_if<ShrinkTask>(&command);
      if (shrink == nullptr || failed_tasks_.contains({id, shrink->task})) continue;
      worker->channel.Send(ShrinkMessage{shrink->task, shrink->attempt, shrink->keep_rows});
      ending_tasks_->insert({id, shrink->task});
    }
  }
  const int64_t deadline_ns = ports_.clock.MonotonicNs() + kWindDownNs;
  while (!ending_tasks_->empty() && ports_.clock.MonotonicNs() < deadline_ns) Listen();
}

void JobLoop::Drain() {
  while (assemblies_running_ > 0 || commit_running_) {
    std::vector<pollfd> bell = {{inbox_.fd(), POLLIN, 0}};
    ports_.runtime.Wait(bell, kPollMs);
    inbox_.RunAll();
  }
  // Data files that no commit was asked to take; the checkpoints that they were made of stay.
  const auto unused = commit_queue_.TakeGroup(true, ports_.clock.MonotonicNs());
  if (!unused) return;
  for (const FragmentUpdate& update : *unused) {
    if (HasUploads(fragments_.at(update.fragment_id))) continue;
    (void)ports_.store.Delete("data/" + update.file_name);
  }
}

void JobLoop::Prepare() {
  for (const FragmentPlan& plan : plan_.fragments) {
    FragmentEntry& entry = fragments_[plan.fragment.id];
    entry.plan = &plan;
    expected_[plan.fragment.id] = plan.fragment;
  }
  for (const FragmentPlan& plan : plan_.fragments) {
    for (const StoredCheckpoint& checkpoint : plan.checkpoints) {
      FragmentPart part{checkpoints_.KeyOf(checkpoint.file_name), checkpoint.range, true, checkpoint.size_bytes};
      if (!IsTakenWhole(checkpoint)) part.taken = checkpoint.taken;
      if (!part.taken.empty()) progress_.carried.insert(checkpoint.file_name);
      AddPart(std::move(part));
    }
  }
}

bool JobLoop::finished() const {
  return scheduler_.finished() && fragments_settled_ == static_cast<int64_t>(fragments_.size());
}

Status JobLoop::LoopOnce() {
  Listen();
  TakePoolNews();
  if (failure_) return Ok();
  CommitIfDue();
  Tick();
  return CheckStop();
}

void JobLoop::Listen() {
  std::vector<pollfd> polled = {{inbox_.fd(), POLLIN, 0}, {ports_.pool.fd(), POLLIN, 0}};
  std::vector<WorkerId> ids = {0, 0};
  for (const auto& [id, worker] : workers_) {
    const auto events = static_cast<int16_t>(worker->channel.wants_write() ? POLLIN | POLLOUT : POLLIN);
    polled.push_back({worker->channel.fd(), events, 0});
    ids.push_back(id);
  }
  ports_.runtime.Wait(polled, kPollMs);
  if (polled[0].revents != 0) inbox_.RunAll();
  for (size_t i = 2; i < polled.size(); ++i) {
    if ((polled[i].revents & POLLOUT) != 0) {
      if (const auto found = workers_.find(ids[i]); found != workers_.end()) found->second->channel.Flush();
    }
    if ((polled[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0) ReadWorker(ids[i]);
  }
}

void JobLoop::Tick() {
  const int64_t now = ports_.clock.MonotonicNs();
  metrics_.workers = static_cast<int32_t>(workers_.size());
  metrics_.bytes_in_assembly = ports_.assembler.bytes_in_hand();
  metrics_.rows_in_hand = scheduler_.RowsInHand();
  metrics_.tasks_total = metrics_base_tasks_total_ + scheduler_.tasks_total();
  metrics_.tasks_done = metrics_base_tasks_done_ + scheduler_.tasks_done();
  metrics_.retries = metrics_base_retries_ + scheduler_.retries();
  if (now - last_tick_ns_ >= kTickNs && !failure_) {
    last_tick_ns_ = now;
    KeepAlive(now);
    Obey(scheduler_.OnTick(now));
    ReplaceSlowStarters();
  }
  log_.Write(JobStatus::kRunning, metrics_, std::nullopt, progress_.version, false);
}

Status JobLoop::CheckStop() {
  const int64_t now = ports_.clock.MonotonicNs();
  if (deadline_ns_ >= 0 && now > deadline_ns_) {
    std::ostringstream reason;
    reason << "the job's timeout of " << *spec_.timeout_s << " s has passed";
    return MakeError(ErrorKind::kCancelled, reason.str());
  }
  if (now - last_progress_ns_ >= kProgressNs) {
    last_progress_ns_ = now;
    const std::string phase = scheduler_.finished() ? "assembling" : "computing";
    if (!ports_.host.OnProgress(metrics_, phase)) return MakeError(ErrorKind::kCancelled, "the job was cancelled");
  }
  const double heartbeat_s = std::min(spec_.refresh_status_secs, ColumnLease::kHeartbeatSecs);
  LEMAN_RETURN_IF_ERROR(lease_.Renew(static_cast<int64_t>(heartbeat_s * kNsPerSecond)));
  if (log_.CancelRequested()) return MakeError(ErrorKind::kCancelled, "the job was cancelled");
  return Ok();
}

void JobLoop::Fail(Error error) {
  if (!failure_) failure_ = std::move(error);
  failed_ = true;
  ports_.assembler.Cancel();
}

}  // namespace leman
