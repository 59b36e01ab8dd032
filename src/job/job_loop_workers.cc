// JobLoop: starting workers, listening to them, losing them.
#include <algorithm>
#include <sstream>
#include <utility>

#include "io/part_uploads.h"
#include "job/job_loop.h"
#include "plan/small_parts.h"

namespace leman {
namespace {

// Whether the name of a checkpoint says what the message says.
bool IsCheckpointOf(const CheckpointDone& done, const std::string& fragment_key) {
  const auto file = ParseCheckpointFileName(done.path);
  if (file) return file->range == done.range && file->fragment_key == fragment_key;
  if (const auto uploaded = ParsePartsFileName(done.path)) {
    return uploaded->range == done.range && uploaded->fragment_key == fragment_key;
  }
  const auto placed = ParseRegionFileName(done.path);
  return placed && placed->range == done.range && placed->fragment_key == fragment_key;
}

}  // namespace

void JobLoop::Obey(const Scheduler::Commands& commands) {
  if (ending_tasks_) return;  // The job is ending: nothing is begun any more.
  for (const Command& command : commands) {
    if (const auto* start = std::get_if<leman::StartWorkers>(&command)) {
      StartWorkers(start->count);
    } else if (const auto* assign = std::get_if<AssignTask>(&command)) {
      Assign(*assign);
    } else if (const auto* shrink = std::get_if<ShrinkTask>(&command)) {
      SendTo(shrink->worker, ShrinkMessage{shrink->task, shrink->attempt, shrink->keep_rows});
    } else if (const auto* blame = std::get_if<BlameRow>(&command)) {
      OnBlamed(*blame);
    } else if (const auto* replace = std::get_if<ReplaceWorker>(&command)) {
      LoseWorker(replace->worker, replace->loss);
    } else if (const auto* retire = std::get_if<leman::RetireWorker>(&command)) {
      RetireWorker(retire->worker);
    } else if (const auto* fail = std::get_if<FailJob>(&command)) {
      Fail(fail->error);
    }
  }
}

void JobLoop::SendTo(WorkerId id, const Message& message) {
  // The scheduler hears of a lost worker at once and takes its tasks back, so nothing is lost with the message.
  if (const auto found = workers_.find(id); found != workers_.end()) found->second->channel.Send(message);
}

void JobLoop::StartWorkers(int32_t count) {
  for (int32_t i = 0; i < count; ++i) {
    const WorkerId id = progress_.next_worker++;
    const Result<int> fd = ports_.pool.Start(id);
    if (!fd.ok()) {
      Fail(fd.error());
      return;
    }
    if (*fd == WorkerPool::kComesLater) {
      arriving_.insert(id);
    } else {
      Welcome(id, *fd, 0);
    }
  }
}

void JobLoop::Welcome(WorkerId id, int fd, int64_t pid) {
  auto worker = std::make_unique<WorkerEntry>(fd);
  worker->pid = pid;
  worker->heard_ns = worker->started_ns = ports_.clock.MonotonicNs();
  SetupMessage setup;
  setup.worker = id;
  setup.name = progress_.writers + "x" + std::to_string(id);
  setup.table_root = spec_.table_root;
  setup.checkpoint_root = spec_.checkpoint_root.empty() ? spec_.table_root : spec_.checkpoint_root;
  setup.checkpoint_folder = checkpoints_.folder();
  setup.threads = spec_.intra_applier_concurrency;
  setup.input_columns = spec_.input_columns;
  setup.batch_rows = spec_.checkpoint_rows ? std::min(spec_.batch_size, *spec_.checkpoint_rows) : spec_.batch_size;
  setup.batch_rows_fixed = spec_.batch_size_fixed;
  setup.first_call_rows = spec_.first_call_rows;
  setup.rows_in_flight = spec_.rows_in_flight;
  setup.checkpoint_rows = spec_.checkpoint_rows;
  setup.min_checkpoint_rows = spec_.min_checkpoint_rows;
  setup.max_checkpoint_rows = spec_.max_checkpoint_rows;
  setup.memory_bytes = spec_.memory_bytes;
  setup.beat_ns = ports_.pool.heartbeat().beat_ns;
  setup.lease_ns = ports_.pool.heartbeat().lease_ns;
  setup.host_payload = host_payload_;
  worker->channel.Send(setup);
  workers_[id] = std::move(worker);
}

void JobLoop::TakePoolNews() {
  for (PoolNews& news : ports_.pool.Poll()) {
    switch (news.kind) {
      case PoolNews::Kind::kConnected:
        arriving_.erase(news.worker);
        Welcome(news.worker, news.fd, news.pid);
        break;
      case PoolNews::Kind::kLost:
        if (arriving_.erase(news.worker) == 0) break;
        log_.Event("worker " + std::to_string(news.worker) + " did not come: " + news.text);
        ++metrics_.worker_deaths;
        Obey(scheduler_.OnWorkerLost(news.worker, news.text));
        break;
      case PoolNews::Kind::kLeaving:
        Obey(scheduler_.OnWorkerLeaving(news.worker));
        break;
      case PoolNews::Kind::kNote:
        log_.Event(news.text);
        break;
      case PoolNews::Kind::kFailed:
        Fail(MakeError(ErrorKind::kInvalidArgument, news.text));
        break;
    }
  }
}

void JobLoop::KeepAlive(int64_t now_ns) {
  const Heartbeat heartbeat = ports_.pool.heartbeat();
  if (heartbeat.beat_ns > 0 && now_ns - last_beat_ns_ >= heartbeat.beat_ns) {
    last_beat_ns_ = now_ns;
    for (const auto& [id, worker] : workers_) worker->channel.Send(BeatMessage{});
  }
  if (heartbeat.lease_ns <= 0) return;
  // All that has arrived was read just before: who seems silent is, even if this loop was held up.
  std::vector<WorkerId> silent;
  for (const auto& [id, worker] : workers_) {
    if (now_ns - worker->heard_ns > heartbeat.lease_ns) silent.push_back(id);
  }
  for (const WorkerId id : silent) {
    constexpr double kNsPerSecond = 1e9;
    std::ostringstream why;
    why << "was silent for " << static_cast<double>(heartbeat.lease_ns) / kNsPerSecond << " s";
    LoseWorker(id, WorkerLoss(why.str()));
  }
}

void JobLoop::Assign(const AssignTask& assign) {
  AssignMessage message;
  message.task = assign.task;
  for (const RowRange& piece : assign.task.pieces) {
    FragmentEntry& fragment = fragments_.at(piece.fragment_id);
    const FragmentPlan& plan = *fragment.plan;
    if (ports_.assembler.takes_uploads()) message.data_files.push_back(DataFileOf(fragment));
    message.fragment_keys.push_back(plan.fragment_key);
    message.fragment_rows.push_back(plan.fragment.physical_rows);
    message.filter = plan.filter;
    message.with_deleted_rows |= plan.fragment.deleted_rows > 0;
    message.only_listed_rows |= !plan.only_rows.empty();
    // All pieces of a task with a filter are of one fragment; the rows go along in its order.
    for (const int64_t row : plan.only_rows) {
      if (row >= piece.start && row < piece.end) message.rows.push_back(row);
    }
  }
  SendTo(assign.worker, message);
}

void JobLoop::ReadWorker(WorkerId id) {
  const auto found = workers_.find(id);
  if (found == workers_.end()) return;
  bool closed = false;
  const auto messages = found->second->channel.Receive(&closed);
  found->second->heard_ns = ports_.clock.MonotonicNs();
  if (!messages.ok()) {
    LoseWorker(id, WorkerLoss(messages.error().message));
    return;
  }
  for (const Message& message : *messages) {
    if (!workers_.contains(id)) return;
    OnMessage(id, message);
  }
  if (closed && workers_.contains(id)) LoseWorker(id, std::nullopt);
}

void JobLoop::OnMessage(WorkerId id, const Message& message) {
  const int64_t now = ports_.clock.MonotonicNs();
  if (const auto* hello = std::get_if<HelloMessage>(&message)) {
    workers_.at(id)->pid = hello->pid;
    if (hello->protocol != kProtocolVersion) {
      Fail(MakeError(ErrorKind::kUnsupported, "a worker speaks version ", hello->protocol, " of the protocol, not ",
                     kProtocolVersion, "; install the same version of leman on both"));
    }
  } else if (std::holds_alternative<ReadyMessage>(message)) {
    if (!std::exchange(workers_.at(id)->ready, true)) Obey(scheduler_.OnWorkerReady(id));
  } else if (const auto* progress = std::get_if<ProgressMessage>(&message)) {
    Obey(scheduler_.OnProgress(id, progress->task, progress->attempt, progress->rows_done, now));
  } else if (const auto* checkpoint = std::get_if<CheckpointDone>(&message)) {
    OnCheckpoint(*checkpoint);
  } else if (const auto* done = std::get_if<TaskDoneMessage>(&message)) {
    if (ending_tasks_) ending_tasks_->erase({id, done->task});
    Obey(scheduler_.OnTaskDone(id, done->task, done->attempt));
  } else if (const auto* shrunk = std::get_if<ShrunkMessage>(&message)) {
    Obey(scheduler_.OnShrunk(id, shrunk->task, shrunk->attempt, shrunk->kept_rows));
  } else if (const auto* failed = std::get_if<TaskFailed>(&message)) {
    OnTaskFailed(id, *failed);
  } else if (const auto* stuck = std::get_if<StuckMessage>(&message)) {
    WorkerLoss loss(stuck->reason);
    loss.error_type = stuck->error_type;
    loss.task = stuck->task;
    loss.rows = stuck->rows;
    LoseWorker(id, std::move(loss));
  } else if (const auto* retired = std::get_if<RetireMessage>(&message)) {
    WorkerLoss loss(retired->reason);
    loss.planned = true;
    LoseWorker(id, std::move(loss));
  } else if (const auto* setup = std::get_if<SetupFailedMessage>(&message)) {
    Fail(setup->error);
  }
}

void JobLoop::OnCheckpoint(const CheckpointDone& done) {
  const auto fragment = fragments_.find(done.range.fragment_id);
  if (fragment == fragments_.end()) return;
  if (!IsCheckpointOf(done, fragment->second.plan->fragment_key)) return;
  if (!scheduler_.OnCheckpoint(done.task, done.attempt, done.range)) return;
  metrics_.rows_computed += done.rows_computed;
  metrics_.checkpoint_bytes += done.size_bytes;
  ++metrics_.checkpoints_written;
  if (done.times.batches_shrunk > 0 && metrics_.work.batches_shrunk == 0) {
    constexpr int64_t kMiB = 1 << 20;
    log_.Event("calls get fewer rows, so that a worker stays within its memory of " +
               std::to_string(spec_.memory_bytes / kMiB) + " MiB");
  }
  metrics_.work.Add(done.times);
  TellOfSmallParts(done);
  // Locks of a shared file system may be worth nothing between machines: then only the bytes tell.
  AddPart({checkpoints_.KeyOf(done.path), done.range, !ports_.pool.on_this_machine()});
  AddSkipped(done.skipped);
}

// By a checkpoint that has all the rows that it may have, once some are there.
void JobLoop::TellOfSmallParts(const CheckpointDone& done) {
  constexpr int64_t kSome = 3;
  static_assert(kSmallestPartBytes == PartLimits{}.min_part_bytes);
  if (told_of_small_parts_ || metrics_.checkpoints_written < kSome || done.range.rows() != spec_.checkpoint_rows)
    return;
  told_of_small_parts_ = true;
  const double row_bytes = static_cast<double>(done.size_bytes) / static_cast<double>(done.range.rows());
  const std::string note = SmallPartsNote(spec_, row_bytes, metrics_.rows_total, metrics_.fragments_total);
  if (note.empty()) return;
  log_.Event(note);
  ports_.host.OnNotice(note);
}

void JobLoop::AddSkipped(const std::vector<SkippedRow>& rows) {
  if (rows.empty()) return;
  metrics_.rows_skipped += static_cast<int64_t>(rows.size());
  log_.AddSkipped(rows, spec_.read_version);
  const std::string last = "; the last one: " + rows.back().error_type + ": " + rows.back().message;
  if (spec_.max_skip_count && metrics_.rows_skipped > *spec_.max_skip_count) {
    Fail(MakeError(ErrorKind::kUserFunction, metrics_.rows_skipped,
                   " rows were skipped, more than max_skip_count=", *spec_.max_skip_count, last));
  } else if (spec_.max_skip_fraction && static_cast<double>(metrics_.rows_skipped) >
                                            *spec_.max_skip_fraction * static_cast<double>(metrics_.rows_total)) {
    Fail(MakeError(ErrorKind::kUserFunction, metrics_.rows_skipped, " of ", metrics_.rows_total,
                   " rows were skipped, a greater fraction than max_skip_fraction=", *spec_.max_skip_fraction, last));
  }
}

void JobLoop::OnTaskFailed(WorkerId id, const TaskFailed& failed) {
  if (!scheduler_.IsCurrent(id, failed.task, failed.attempt)) return;
  if (ending_tasks_) ending_tasks_->erase({id, failed.task});
  if (failed.error.kind == ErrorKind::kRetryable) {
    log_.Event("a task is tried again: " + failed.error.message);
    Obey(scheduler_.OnPassingFault(id, failed.task, failed.attempt, failed.error, ports_.clock.MonotonicNs()));
    return;
  }
  failed_tasks_.insert({id, failed.task});
  const RowRange& at = failed.where;
  const std::string rows = at.rows() == 1 ? "row " + std::to_string(at.start)
                                          : "rows " + std::to_string(at.start) + " to " + std::to_string(at.end - 1);
  Fail(failed.error.WithContext("column '" + spec_.column + "', " + rows + " of fragment " +
                                std::to_string(at.fragment_id)));
}

void JobLoop::OnBlamed(const BlameRow& blame) {
  const std::string where = DescribeRows(blame.row) + ": " + blame.failure.message;
  switch (ports_.host.DecideRow(blame.failure)) {
    case RowDecision::kSkip:
      log_.Event("skipped " + where);
      Obey(scheduler_.GiveUp(blame.task, blame.failure));
      return;
    case RowDecision::kRetry:
      log_.Event("trying again " + where);
      Obey(scheduler_.TryAgain(blame.task));
      return;
    case RowDecision::kFail:
      const bool has_died = blame.failure.error_type != "FunctionTimeoutError";
      Error error = MakeError(ErrorKind::kUserFunction, "column '", spec_.column, "'",
                              has_died ? ": worker processes end on " : ", ", where);
      error.name = blame.failure.error_type;
      Fail(std::move(error));
  }
}

void JobLoop::ReplaceSlowStarters() {
  if (!spec_.stall_timeout_s) return;
  const auto limit_ns = static_cast<int64_t>(*spec_.stall_timeout_s * 1e9);
  std::vector<WorkerId> slow;
  for (const auto& [id, worker] : workers_) {
    if (!worker->ready && ports_.clock.MonotonicNs() - worker->started_ns > limit_ns) slow.push_back(id);
  }
  for (const WorkerId id : slow) {
    WorkerLoss loss("was not ready after the job's stall_timeout; does the function's constructor or setup() hang?");
    loss.error_type = "WorkerStallError";
    LoseWorker(id, std::move(loss));
  }
}

// Without `loss`, the connection is closed and the process is asked how it ended.
void JobLoop::LoseWorker(WorkerId id, std::optional<WorkerLoss> loss) {
  const auto found = workers_.find(id);
  if (found == workers_.end()) return;
  if (ending_tasks_) std::erase_if(*ending_tasks_, [id](const auto& task) { return task.first == id; });
  const int64_t pid = found->second->pid;
  if (loss) {
    ports_.pool.Kill(id, pid);
  } else {
    loss.emplace(ports_.pool.ExitReason(id, pid));
    if (ports_.pool.WasOutOfMemory(pid)) loss->error_type = "WorkerOOMError";
  }
  std::string at;
  for (const RowRange& range : scheduler_.RunningOn(id)) {
    at += (at.empty() ? " at row " : ", ") + std::to_string(range.start) + " of fragment " +
          std::to_string(range.fragment_id);
  }
  log_.Event("worker " + std::to_string(id) + " (pid " + std::to_string(pid) + ") " + loss->reason + at);
  ++(loss->planned ? metrics_.workers_recycled : metrics_.worker_deaths);
  workers_.erase(found);
  Obey(scheduler_.OnWorkerLost(id, *loss));
}

// It has nothing in hand: that it goes is no loss.
void JobLoop::RetireWorker(WorkerId id) {
  const auto found = workers_.find(id);
  if (found == workers_.end()) return;
  log_.Event("worker " + std::to_string(id) + " (pid " + std::to_string(found->second->pid) +
             ") has left nothing behind and ends");
  found->second->channel.Send(StopMessage{});
  workers_.erase(found);
  ports_.pool.Release(id);
}

void JobLoop::StopWorkers() {
  for (const auto& [id, worker] : workers_) {
    // After a failure the function may be in the middle of a long call: it is not waited for.
    if (failure_ || !scheduler_.finished()) ports_.pool.Kill(id, worker->pid);
    worker->channel.Send(StopMessage{});
  }
  workers_.clear();
  for (const WorkerId id : arriving_) ports_.pool.Kill(id, 0);
  arriving_.clear();
}

}  // namespace leman
