#include "job/worker.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <sstream>
#include <thread>
#include <vector>

#include "apply/applier.h"
#include "apply/call_watch.h"
#include "apply/memory_watch.h"
#include "io/part_uploads.h"
#include "job/linux_memory.h"
#include "transport/channel.h"

namespace leman {
namespace {

// The tasks that wait, and the way to those that run.
class TaskInbox {
 public:
  void Push(AssignMessage message) {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(message));
    changed_.notify_one();
  }
  // The next task; none after Close.
  std::optional<AssignMessage> Pop() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return closed_ || retired_ || !waiting_.empty(); });
    if (closed_ || retired_) return std::nullopt;
    AssignMessage message = std::move(waiting_.front());
    waiting_.pop_front();
    return message;
  }
  void Close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }
  [[nodiscard]] bool closed() const { return closed_; }
  // No task is begun any more; those that run go on.
  void Retire() {
    const std::lock_guard lock(mutex_);
    retired_ = true;
    changed_.notify_all();
  }

  // Whether the task had not begun and is forgotten; else it is asked to end early.
  bool RequestShrink(const ShrinkMessage& request) {
    const std::lock_guard lock(mutex_);
    const auto is_meant = [&request](const AssignMessage& waiting) {
      return waiting.task.id == request.task && waiting.task.attempt == request.attempt;
    };
    const auto found = std::find_if(waiting_.begin(), waiting_.end(), is_meant);
    if (found != waiting_.end() && request.keep_rows == 0) {
      waiting_.erase(found);
      return true;
    }
    shrinks_.push_back(request);
    return false;
  }
  int64_t TakeShrink(TaskId task, int32_t attempt) {
    const std::lock_guard lock(mutex_);
    for (auto it = shrinks_.begin(); it != shrinks_.end(); ++it) {
      if (it->task != task || it->attempt != attempt) continue;
      const int64_t keep = it->keep_rows;
      shrinks_.erase(it);
      return keep;
    }
    return -1;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<AssignMessage> waiting_;
  std::vector<ShrinkMessage> shrinks_;
  std::atomic<bool> closed_ = false;
  bool retired_ = false;
};

// The calls of all threads under one watch, and the tasks that they belong to.
class WatchedThreads {
 public:
  WatchedThreads(ClientChannel& channel, WorkerHost& host, Clock& clock)
      : channel_(channel), host_(host), clock_(clock) {}

  void Add(const std::shared_ptr<WatchedCalls>& calls, size_t thread) {
    if (calls == nullptr) return;
    const std::lock_guard lock(mutex_);
    threads_[thread].calls = calls;
    if (watch_ == nullptr) {
      CallWatch::Options options;
      options.limit_ns = calls->limit_ns();
      if (!calls->can_interrupt()) options.give_up_after_ns = 0;
      watch_ = std::make_unique<CallWatch>(
          options, clock_, [this](size_t at, const CallSlot::Call& call) { Of(at).calls->Interrupt(call); },
          [this](size_t at, const CallSlot::Call& call) { GiveUp(Of(at), call); });
    }
    watch_->Add(thread, calls->slot());
  }
  void OnCall(size_t thread, TaskId task, int32_t attempt, const RowRange& rows) {
    const std::lock_guard lock(mutex_);
    Thread& entry = threads_[thread];
    entry.task = task;
    entry.attempt = attempt;
    entry.rows = rows;
  }

 private:
  struct Thread {
    std::shared_ptr<WatchedCalls> calls;
    TaskId task = 0;
    int32_t attempt = 0;
    RowRange rows;
  };

  Thread Of(size_t thread) {
    const std::lock_guard lock(mutex_);
    return threads_[thread];
  }
  void GiveUp(const Thread& thread, const CallSlot::Call& call) {
    const int64_t first = thread.rows.start + call.first;
    constexpr double kNsPerSecond = 1e9;
    std::ostringstream reason;
    reason << "the call took longer than its timeout of "
           << static_cast<double>(thread.calls->limit_ns()) / kNsPerSecond << " s";
    if (thread.calls->can_interrupt()) reason << " and could not be interrupted";
    (void)channel_.Send(StuckMessage{thread.task,
                                     thread.attempt,
                                     {thread.rows.fragment_id, first, first + call.rows},
                                     "FunctionTimeoutError",
                                     reason.str()});
    host_.OnStuck();
  }

  ClientChannel& channel_;
  WorkerHost& host_;
  Clock& clock_;
  std::mutex mutex_;
  std::map<size_t, Thread> threads_;
  std::unique_ptr<CallWatch> watch_;  // Last: its thread uses the others.
};

class TaskReporter final : public TaskObserver {
 public:
  TaskReporter(ClientChannel& channel, TaskInbox& inbox, WatchedThreads* watched, size_t thread, const Task& task)
      : channel_(channel), inbox_(inbox), watched_(watched), thread_(thread), task_(task.id), attempt_(task.attempt) {}

  // A failed send means that the coordinator is gone; the receiving thread deals with that.
  void OnProgress(int64_t rows_done) override { (void)channel_.Send(ProgressMessage{task_, attempt_, rows_done}); }
  void OnCheckpoint(const CheckpointDone& done) override { (void)channel_.Send(done); }
  void OnCall(const RowRange& rows) override {
    if (watched_ != nullptr) watched_->OnCall(thread_, task_, attempt_, rows);
  }
  void OnShrunk(int64_t kept_rows) override { (void)channel_.Send(ShrunkMessage{task_, attempt_, kept_rows}); }
  [[nodiscard]] bool cancelled() const override { return inbox_.closed(); }
  [[nodiscard]] int64_t TakeShrinkRequest() override { return inbox_.TakeShrink(task_, attempt_); }

 private:
  ClientChannel& channel_;
  TaskInbox& inbox_;
  WatchedThreads* watched_;  // Null where calls have no time limit.
  size_t thread_;
  TaskId task_;
  int32_t attempt_;
};

std::vector<std::unique_ptr<Rider>> MakeRiders(const std::string& thread, const SetupMessage& setup, ThreadTools& tools,
                                               Clock& clock) {
  std::vector<std::unique_ptr<Rider>> riders;
  for (RiderTools& own : tools.riders) {
    const std::string name = thread + "r" + std::to_string(riders.size());
    riders.push_back(std::make_unique<Rider>(RiderPorts{*own.udf, *own.writer, clock, *own.output_type.get()},
                                             own.columns, CheckpointStore(*tools.store, own.checkpoint_folder),
                                             own.fragment_keys, name, setup.checkpoint_root));
  }
  return riders;
}

// One thread: takes tasks and runs them until the inbox closes.
void RunTasks(int64_t thread, const SetupMessage& setup, ThreadTools& tools, ClientChannel& channel, TaskInbox& inbox,
              Clock& clock, WatchedThreads& watched, MemoryWatch* memory) {
  const auto number = static_cast<size_t>(thread);
  watched.Add(tools.calls, number);
  CheckpointStore checkpoints(*tools.store, setup.checkpoint_folder);
  const std::string name = setup.name + "-" + std::to_string(thread);
  Applier applier({*tools.reader, *tools.udf, *tools.merger, *tools.writer, checkpoints, clock,
                   *tools.output_type.get(), MakeRiders(name, setup, tools, clock), tools.read_columns, memory,
                   setup.checkpoint_root.find("://") != std::string::npos},
                  CutOf(setup), setup.input_columns, name, setup.checkpoint_root);
  while (auto assigned = inbox.Pop()) {
    TaskOrder order{assigned->task,
                    assigned->fragment_keys,
                    assigned->filter,
                    assigned->with_deleted_rows,
                    assigned->only_listed_rows,
                    std::move(assigned->rows),
                    std::move(assigned->fragment_rows),
                    std::move(assigned->data_files)};
    TaskReporter reporter(channel, inbox, tools.calls == nullptr ? nullptr : &watched, number, order.task);
    RowRange at;
    const Status status = applier.Run(order, reporter, &at);
    if (status.ok()) {
      (void)channel.Send(TaskDoneMessage{order.task.id, order.task.attempt});
    } else if (status.error().kind != ErrorKind::kCancelled) {
      (void)channel.Send(TaskFailed{order.task.id, order.task.attempt, status.error(), at});
    } else if (!inbox.closed() && (memory == nullptr || !memory->worn_out())) {
      // Nobody cancelled it: the function raised KeyboardInterrupt. Unanswered, the job would wait for ever.
      const Error error = MakeError(ErrorKind::kUserFunction, status.error().message);
      (void)channel.Send(TaskFailed{order.task.id, order.task.attempt, error, at});
    }
    if (memory != nullptr && memory->worn_out()) inbox.Retire();
  }
}

// Listens until the coordinator says stop or is gone, and shows it that this worker lives, whatever its function does.
class Receiver {
 public:
  Receiver(ClientChannel& channel, TaskInbox& inbox, WorkerHost& host, Clock& clock, const SetupMessage& setup)
      : channel_(channel),
        inbox_(inbox),
        host_(host),
        clock_(clock),
        beat_ns_(setup.beat_ns),
        lease_ns_(setup.lease_ns) {
    thread_ = std::thread([this] { Run(); });
  }
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;
  ~Receiver() {
    channel_.Interrupt();
    thread_.join();
  }

 private:
  void Run() {
    // A coordinator that was only slow finds its worker still there: it gives the worker up first.
    const int64_t patience_ns = 2 * lease_ns_;
    constexpr int64_t kNsPerMs = 1'000'000;
    const int wait_ms = beat_ns_ > 0 ? static_cast<int>(std::max<int64_t>(1, beat_ns_ / kNsPerMs)) : -1;
    int64_t heard_ns = clock_.MonotonicNs();
    int64_t said_ns = heard_ns;
    while (true) {
      Result<std::optional<Message>> received = channel_.ReceiveFor(wait_ms);
      const int64_t now = clock_.MonotonicNs();
      if (beat_ns_ > 0 && now - said_ns >= beat_ns_) {
        channel_.SendIfIdle(BeatMessage{});
        said_ns = now;
      }
      if (received.ok() && received->has_value()) heard_ns = now;
      if (!received.ok() && received.error().kind == ErrorKind::kCancelled) return;
      if (!received.ok() || (lease_ns_ > 0 && now - heard_ns > patience_ns)) {
        host_.OnCoordinatorGone();
        inbox_.Close();
        return;
      }
      if (received->has_value() && !Take(**received)) return;
    }
  }

  // False after the last message.
  bool Take(Message& message) {
    if (auto* assign = std::get_if<AssignMessage>(&message)) {
      inbox_.Push(std::move(*assign));
    } else if (const auto* shrink = std::get_if<ShrinkMessage>(&message)) {
      if (inbox_.RequestShrink(*shrink)) {
        (void)channel_.Send(ShrunkMessage{shrink->task, shrink->attempt, 0});
        (void)channel_.Send(TaskDoneMessage{shrink->task, shrink->attempt});
      }
    } else if (std::holds_alternative<StopMessage>(message)) {
      inbox_.Close();
      return false;
    }
    return true;
  }

  ClientChannel& channel_;
  TaskInbox& inbox_;
  WorkerHost& host_;
  Clock& clock_;
  int64_t beat_ns_;
  int64_t lease_ns_;
  std::thread thread_;
};

Result<SetupMessage> ShakeHands(ClientChannel& channel, HelloMessage hello) {
  hello.protocol = kProtocolVersion;
  hello.pid = ::getpid();
  LEMAN_RETURN_IF_ERROR(channel.Send(hello));
  LEMAN_ASSIGN_OR_RETURN(Message first, channel.Receive());
  auto* setup = std::get_if<SetupMessage>(&first);
  if (setup == nullptr || setup->protocol != kProtocolVersion) {
    return MakeError(ErrorKind::kUnsupported, "the coordinator speaks another protocol version than this worker (",
                     kProtocolVersion, "); install the same version of leman on both");
  }
  return std::move(*setup);
}

std::string WhyRetired(MemoryWatch& memory) {
  constexpr int64_t kMiB = 1 << 20;
  return "holds " + std::to_string(memory.used_bytes() / kMiB) + " MiB between calls, of the " +
         std::to_string(memory.budget_bytes() / kMiB) + " MiB that it may hold, and is replaced";
}

}  // namespace

CutOptions CutOf(const SetupMessage& setup) {
  CutOptions cut;
  cut.batch_rows = setup.batch_rows;
  cut.batch_rows_fixed = setup.batch_rows_fixed;
  cut.first_call_rows = setup.first_call_rows;
  cut.rows_in_flight = setup.rows_in_flight;
  cut.checkpoint_rows = setup.checkpoint_rows;
  cut.min_checkpoint_rows = setup.min_checkpoint_rows;
  cut.max_checkpoint_rows = setup.max_checkpoint_rows;
  // An object store copies no smaller part inside; a little more, since what is written may be smaller than the values.
  constexpr int64_t kPartBytes = 6 << 20;
  static_assert(kPartBytes > PartLimits{}.min_part_bytes);
  const bool from_store_to_store =
      setup.table_root.find("://") != std::string::npos && setup.checkpoint_root.find("://") != std::string::npos;
  if (from_store_to_store) cut.min_part_bytes = kPartBytes;
  return cut;
}

Status ServeWorker(int fd, WorkerHost& host, Clock& clock, HelloMessage hello) {
  ClientChannel channel(fd);
  LEMAN_ASSIGN_OR_RETURN(const SetupMessage setup, ShakeHands(channel, std::move(hello)));
  TaskInbox inbox;
  // Before anything that may take long: a model may need minutes to load.
  const Receiver receiver(channel, inbox, host, clock, setup);
  if (const Status ready = host.SetUp(setup); !ready.ok()) {
    return channel.Send(SetupFailedMessage{ready.error()});
  }
  auto tools = host.MakeThreadTools();
  if (!tools.ok()) return channel.Send(SetupFailedMessage{tools.error()});
  LEMAN_RETURN_IF_ERROR(channel.Send(ReadyMessage{}));

  WatchedThreads watched(channel, host, clock);
  LinuxProcessMemory own_memory([&host] { host.FreeMemory(); });
  std::unique_ptr<MemoryWatch> memory;
  if (setup.memory_bytes > 0) {
    memory = std::make_unique<MemoryWatch>(setup.memory_bytes, setup.threads, own_memory, clock);
  }
  std::vector<std::thread> others;
  for (int64_t thread = 1; thread < setup.threads; ++thread) {
    others.emplace_back([&, thread] {
      auto own = host.MakeThreadTools();
      if (own.ok()) {
        RunTasks(thread, setup, *own, channel, inbox, clock, watched, memory.get());
      } else {
        (void)channel.Send(SetupFailedMessage{own.error()});
      }
    });
  }
  RunTasks(0, setup, *tools, channel, inbox, clock, watched, memory.get());
  for (std::thread& other : others) other.join();
  if (memory != nullptr && memory->worn_out()) (void)channel.Send(RetireMessage{WhyRetired(*memory)});
  return Ok();
}

}  // namespace leman
