#include "job/worker.h"

#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "apply/applier.h"
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
    changed_.wait(lock, [this] { return closed_ || !waiting_.empty(); });
    if (closed_) return std::nullopt;
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

  void RequestShrink(const ShrinkMessage& request) {
    const std::lock_guard lock(mutex_);
    shrinks_.push_back(request);
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
};

class TaskReporter final : public TaskObserver {
 public:
  TaskReporter(ClientChannel& channel, TaskInbox& inbox, const Task& task)
      : channel_(channel), inbox_(inbox), task_(task.id), attempt_(task.attempt) {}

  // A failed send means that the coordinator is gone; the receiving thread deals with that.
  void OnProgress(int64_t rows_done) override { (void)channel_.Send(ProgressMessage{task_, attempt_, rows_done}); }
  void OnCheckpoint(const CheckpointDone& done) override { (void)channel_.Send(done); }
  void OnShrunk(int64_t kept_rows) override { (void)channel_.Send(ShrunkMessage{task_, attempt_, kept_rows}); }
  [[nodiscard]] bool cancelled() const override { return inbox_.closed(); }
  [[nodiscard]] int64_t TakeShrinkRequest() override { return inbox_.TakeShrink(task_, attempt_); }

 private:
  ClientChannel& channel_;
  TaskInbox& inbox_;
  TaskId task_;
  int32_t attempt_;
};

CutOptions CutOf(const SetupMessage& setup) {
  CutOptions cut;
  cut.batch_rows = setup.batch_rows;
  cut.batch_rows_fixed = setup.batch_rows_fixed;
  cut.first_call_rows = setup.first_call_rows;
  cut.checkpoint_rows = setup.checkpoint_rows;
  cut.min_checkpoint_rows = setup.min_checkpoint_rows;
  cut.max_checkpoint_rows = setup.max_checkpoint_rows;
  return cut;
}

// One thread: takes tasks and runs them until the inbox closes.
void RunTasks(int64_t thread, const SetupMessage& setup, ThreadTools& tools, ClientChannel& channel, TaskInbox& inbox,
              Clock& clock) {
  CheckpointStore checkpoints(*tools.store, setup.checkpoint_folder);
  Applier applier(
      {*tools.reader, *tools.udf, *tools.merger, *tools.writer, checkpoints, clock, *tools.output_type.get()},
      CutOf(setup), setup.input_columns, setup.name + "-" + std::to_string(thread), setup.table_root);
  while (auto assigned = inbox.Pop()) {
    TaskOrder order{assigned->task,
                    assigned->fragment_keys,
                    assigned->filter,
                    assigned->with_deleted_rows,
                    assigned->only_listed_rows,
                    std::move(assigned->rows)};
    TaskReporter reporter(channel, inbox, order.task);
    RowRange at;
    const Status status = applier.Run(order, reporter, &at);
    if (status.ok()) {
      (void)channel.Send(TaskDoneMessage{order.task.id, order.task.attempt});
    } else if (status.error().kind != ErrorKind::kCancelled) {
      (void)channel.Send(TaskFailed{order.task.id, order.task.attempt, status.error(), at});
    }
  }
}

void ReceiveMessages(ClientChannel& channel, TaskInbox& inbox, WorkerHost& host) {
  while (true) {
    Result<Message> received = channel.Receive();
    if (!received.ok()) {
      host.OnCoordinatorGone();
      inbox.Close();
      return;
    }
    if (auto* assign = std::get_if<AssignMessage>(&received.value())) {
      inbox.Push(std::move(*assign));
    } else if (const auto* shrink = std::get_if<ShrinkMessage>(&received.value())) {
      inbox.RequestShrink(*shrink);
    } else if (std::holds_alternative<StopMessage>(received.value())) {
      inbox.Close();
      return;
    }
  }
}

Result<SetupMessage> ShakeHands(ClientChannel& channel) {
  LEMAN_RETURN_IF_ERROR(channel.Send(HelloMessage{kProtocolVersion, ::getpid()}));
  LEMAN_ASSIGN_OR_RETURN(Message first, channel.Receive());
  auto* setup = std::get_if<SetupMessage>(&first);
  if (setup == nullptr || setup->protocol != kProtocolVersion) {
    return MakeError(ErrorKind::kUnsupported, "the coordinator speaks another protocol version than this worker (",
                     kProtocolVersion, "); install the same version of leman on both");
  }
  return std::move(*setup);
}

}  // namespace

Status ServeWorker(int fd, WorkerHost& host, Clock& clock) {
  ClientChannel channel(fd);
  LEMAN_ASSIGN_OR_RETURN(const SetupMessage setup, ShakeHands(channel));
  if (const Status ready = host.SetUp(setup); !ready.ok()) {
    return channel.Send(SetupFailedMessage{ready.error()});
  }
  auto tools = host.MakeThreadTools();
  if (!tools.ok()) return channel.Send(SetupFailedMessage{tools.error()});
  LEMAN_RETURN_IF_ERROR(channel.Send(ReadyMessage{}));

  TaskInbox inbox;
  std::thread receiver([&] { ReceiveMessages(channel, inbox, host); });
  std::vector<std::thread> others;
  for (int64_t thread = 1; thread < setup.threads; ++thread) {
    others.emplace_back([&, thread] {
      auto own = host.MakeThreadTools();
      if (own.ok()) {
        RunTasks(thread, setup, *own, channel, inbox, clock);
      } else {
        (void)channel.Send(SetupFailedMessage{own.error()});
      }
    });
  }
  RunTasks(0, setup, *tools, channel, inbox, clock);
  for (std::thread& other : others) other.join();
  receiver.join();
  return Ok();
}

}  // namespace leman
