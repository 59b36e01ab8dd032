#include "sim/sim_worker.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "job/worker.h"
#include "sim/sim_driver.h"
#include "table/testing/int64_array.h"

namespace leman::sim {

using leman::testing::MakeInt64Array;
using leman::testing::ReadInt64Array;

namespace {

class CheckpointWriter final : public ColumnFile {
 public:
  CheckpointWriter(SimWorker& worker, std::string key) : worker_(worker), key_(std::move(key)) {}
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;
  // A writer that died in the middle leaves what it had written.
  ~CheckpointWriter() override {
    World& world = worker_.world();
    if (!worker_.dead || values_.empty() || !world.Fault(world.faults.torn, "half a file is left")) return;
    const std::string bytes = EncodeValues(values_);
    world.objects[key_] = {bytes.substr(0, bytes.size() / 2), world.now_us(), true};
  }
  Status Write(OwnedArray values) override {
    const Int64s more = ReadInt64Array(*values.get());
    values_.insert(values_.end(), more.begin(), more.end());
    return Ok();
  }
  Result<ClosedFile> Close(const std::map<std::string, std::string>&) override {
    const std::string bytes = EncodeValues(values_);
    LEMAN_RETURN_IF_ERROR(ProcessStore(worker_.world(), worker_).Put(key_, bytes));
    return ClosedFile{static_cast<int64_t>(bytes.size())};
  }

 private:
  SimWorker& worker_;
  std::string key_;
  Int64s values_;
};

class WriterPort final : public ColumnWriter {
 public:
  explicit WriterPort(SimWorker& worker) : worker_(worker) {}
  Result<std::unique_ptr<ColumnFile>> Create(const std::string& path, const std::string&) override {
    constexpr std::string_view kRoot = "sim/";
    return std::unique_ptr<ColumnFile>(std::make_unique<CheckpointWriter>(worker_, path.substr(kRoot.size())));
  }

 private:
  SimWorker& worker_;
};

class UdfPort final : public Udf {
 public:
  explicit UdfPort(SimWorker& worker) : worker_(worker) {}
  Result<OwnedArray> Apply(OwnedArray inputs, const RowMask* selected, int64_t*) override {
    return worker_.Call(std::move(inputs), selected);
  }

 private:
  SimWorker& worker_;
};

class MergerPort final : public ArrayMerger {
 public:
  Result<OwnedArray> Merge(const RowMask& selected, OwnedArray computed, OwnedArray carried) override {
    Int64s values = ReadInt64Array(*carried.get());
    const Int64s fresh = ReadInt64Array(*computed.get());
    for (size_t i = 0; i < values.size(); ++i) {
      if (selected[i] != 0) values[i] = fresh[i];
    }
    return MakeInt64Array(values);
  }
};

}  // namespace

class SimWorker::Reporter final : public TaskObserver {
 public:
  Reporter(SimWorker& worker, const Task& task) : worker_(worker), task_(task.id), attempt_(task.attempt) {}
  void OnProgress(int64_t rows_done) override { worker_.Send(ProgressMessage{task_, attempt_, rows_done}); }
  void OnCheckpoint(const CheckpointDone& done) override {
    World& world = worker_.world_;
    ++world.tally.checkpoints;
    const std::string key = worker_.setup_->checkpoint_folder + "/" + done.path;
    // A cleanup or another driver's commit may have taken it already; both are faults of the world.
    if (!worker_.dead && world.faults.none() && !world.objects.contains(key)) {
      world.Violate("a checkpoint is acknowledged before it is there: " + key);
    }
    worker_.Send(done);
  }
  void OnShrunk(int64_t kept_rows) override { worker_.Send(ShrunkMessage{task_, attempt_, kept_rows}); }
  [[nodiscard]] bool cancelled() const override { return worker_.dead || worker_.closed_; }
  [[nodiscard]] int64_t TakeShrinkRequest() override {
    auto& requests = worker_.shrinks_;
    for (auto it = requests.begin(); it != requests.end(); ++it) {
      if (it->task != task_ || it->attempt != attempt_) continue;
      const int64_t keep = it->keep_rows;
      requests.erase(it);
      return keep;
    }
    return -1;
  }

 private:
  SimWorker& worker_;
  TaskId task_;
  int32_t attempt_;
};

SimWorker::SimWorker(World& world, SimTable& table, SimDriver& driver, WorkerId id, int fd)
    : world_(world), table_(table), driver_(driver), id_(id), fd_(fd) {
  name = driver.name + "/w" + std::to_string(id);
  ::fcntl(fd_, F_SETFL, ::fcntl(fd_, F_GETFL) | O_NONBLOCK);
  ++world_.tally.workers;
}

SimWorker::~SimWorker() {
  if (fd_ >= 0) ::close(fd_);
}

void SimWorker::Start() {
  fibers_.push_back(world_.loop.Spawn([self = shared_from_this()] { self->Live(); }));
}

bool SimWorker::fibers_done() const {
  return std::all_of(fibers_.begin(), fibers_.end(), [this](FiberId fiber) { return world_.loop.finished(fiber); });
}

void SimWorker::WakeIdle() {
  for (const FiberId fiber : idle_) world_.loop.Wake(fiber);
}

void SimWorker::Idle() {
  const FiberId self = world_.loop.current();
  idle_.insert(self);
  world_.Sleep(*this, 100'000 * kSecond);
  idle_.erase(self);
}

void SimWorker::Live() {
  on_death = [this] { CloseAfterDeath(); };
  world_.Sleep(*this, world_.random.Between(1, 50) * kMs);
  if (dead) return;
  if (world_.Fault(world_.faults.worker_death / 4, "worker dies at its start")) {
    return world_.Die(*this, "at its start");
  }
  Send(HelloMessage{kProtocolVersion, id_});
  while (!dead && !closed_ && !setup_) Idle();
  if (dead || closed_) return CloseAfterDeath();
  Send(ReadyMessage{});
  for (int64_t thread = 1; thread < setup_->threads; ++thread) {
    fibers_.push_back(world_.loop.Spawn([self = shared_from_this(), thread] { self->RunTasks(thread); }));
  }
  RunTasks(0);
  CloseAfterDeath();
}

void SimWorker::RunTasks(int64_t thread) {
  TableView view(world_, table_, *this, std::stoll(setup_->host_payload));
  ProcessStore store(world_, *this);
  ProcessClock clock(world_, *this);
  CheckpointStore checkpoints(store, setup_->checkpoint_folder);
  UdfPort udf(*this);
  MergerPort merger;
  WriterPort writer(*this);
  const OwnedSchema type = leman::testing::MakeSchema("l", "y");
  Applier applier({view, udf, merger, writer, checkpoints, clock, *type.get()}, CutOf(*setup_), setup_->input_columns,
                  setup_->name + "-" + std::to_string(thread), setup_->checkpoint_root);
  while (!dead && !closed_) {
    if (waiting_.empty()) {
      Idle();
      continue;
    }
    AssignMessage assigned = std::move(waiting_.front());
    waiting_.pop_front();
    TaskOrder order{assigned.task,
                    assigned.fragment_keys,
                    assigned.filter,
                    assigned.with_deleted_rows,
                    assigned.only_listed_rows,
                    std::move(assigned.rows),
                    std::move(assigned.fragment_rows)};
    Reporter reporter(*this, order.task);
    RowRange at;
    const Status status = applier.Run(order, reporter, &at);
    if (status.ok()) {
      Send(TaskDoneMessage{order.task.id, order.task.attempt});
    } else if (status.error().kind != ErrorKind::kCancelled) {
      Send(TaskFailed{order.task.id, order.task.attempt, status.error(), at});
    }
  }
}

Result<OwnedArray> SimWorker::Call(OwnedArray inputs, const RowMask* selected) {
  const Error gone = MakeError(ErrorKind::kCancelled, "this process is dead");
  if (dead) return gone;
  const Int64s x = ReadInt64Array(*inputs->children[0]);
  const auto& faults = world_.faults;
  int64_t takes_ns = static_cast<int64_t>(x.size()) * world_.random.Between(1, 120) * kMs;
  if (world_.Fault(faults.worker_slow, "a slow call")) takes_ns *= 20;
  if (world_.Fault(faults.worker_hang, "a call hangs")) takes_ns = 100'000 * kSecond;
  world_.Sleep(*this, takes_ns);
  if (!dead && world_.Fault(faults.worker_death, "worker dies")) {
    world_.Die(*this, "in a call");
  }
  if (dead) return gone;
  ++world_.tally.calls;
  Int64s y;
  for (size_t i = 0; i < x.size(); ++i) {
    const bool wanted = (selected == nullptr || (*selected)[i] != 0) && x[i];
    y.push_back(wanted ? TheFunction(*x[i]) : std::nullopt);
    world_.tally.rows_computed += wanted ? 1 : 0;
  }
  return MakeInt64Array(y);
}

// Messages of one connection arrive in order, unless a fault says otherwise.
void SimWorker::Send(const Message& message) {
  if (dead || broken_) return;
  const auto& faults = world_.faults;
  std::string frame = EncodeFrame(message);
  if (world_.Fault(faults.cut, "connection breaks")) return Break();
  int64_t latency = world_.random.Between(0, 2 * kMs);
  if (world_.Fault(faults.late, "late message")) latency += world_.random.Between(1, 1500) * kMs;
  arrives_there_ns_ = std::max(arrives_there_ns_, world_.loop.now_ns() + latency);
  if (world_.Fault(faults.doubled, "doubled message")) frame += frame;
  if (held_back_.empty() && !std::holds_alternative<HelloMessage>(message) &&
      world_.Fault(faults.reordered, "overtaken message")) {
    held_back_ = std::move(frame);
    world_.loop.At(arrives_there_ns_ + 500 * kMs,
                   [self = shared_from_this()] { self->Deliver(std::exchange(self->held_back_, {}), false); });
    return;
  }
  frame += std::exchange(held_back_, {});
  const auto* done = std::get_if<CheckpointDone>(&message);
  const std::optional<CheckpointDone> checkpoint = done != nullptr ? std::optional(*done) : std::nullopt;
  world_.loop.At(arrives_there_ns_, [self = shared_from_this(), frame = std::move(frame), checkpoint] {
    if (checkpoint && !self->broken_) self->driver_.acknowledged.OnArrival(self->id_, *checkpoint);
    self->Deliver(frame, false);
  });
}

void SimWorker::Deliver(const std::string& frame, bool last) {
  if (fd_ < 0 || (broken_ && !last)) return;
  if (!frame.empty()) (void)!::send(fd_, frame.data(), frame.size(), MSG_NOSIGNAL);
  if (last) ::close(std::exchange(fd_, -1));
  driver_.WakeLoop();
}

// What was sent before arrives; then the driver sees the closed connection.
void SimWorker::CloseAfterDeath() {
  dead = true;
  for (const FiberId fiber : asleep) world_.loop.Wake(fiber);
  world_.loop.At(arrives_there_ns_ + kMs, [self = shared_from_this()] { self->Deliver({}, true); });
}

void SimWorker::Break() {
  if (broken_) return;
  broken_ = true;
  Deliver({}, true);
  LoseDriver();
}

void SimWorker::LoseDriver() {
  if (std::exchange(lost_driver_, true)) return;
  const int64_t notices_ns = world_.Fault(world_.faults.zombie, "zombie worker") ? 20 * kSecond : 5 * kMs;
  world_.loop.At(world_.loop.now_ns() + notices_ns,
                 [self = shared_from_this()] { self->world_.Die(*self, "without its driver"); });
}

void SimWorker::Kill() {
  driver_.acknowledged.OnKill(id_);
  if (!dead && !broken_) Break();
}

void SimWorker::TakeFromDriver() {
  if (fd_ < 0) return;
  std::array<char, 1 << 14> bytes;
  while (true) {
    const ssize_t n = ::recv(fd_, bytes.data(), bytes.size(), 0);
    if (n == 0) LoseDriver();
    if (n <= 0) break;
    parser_.Append({bytes.data(), static_cast<size_t>(n)});
    if (static_cast<size_t>(n) < bytes.size()) break;
  }
  while (true) {
    auto next = parser_.Next();
    if (!next.ok()) world_.Violate("a driver's message cannot be read: " + next.error().message);
    if (!next.ok() || next->empty()) return;
    if (const auto* assign = std::get_if<AssignMessage>(&next->front())) driver_.acknowledged.OnAssign(id_, *assign);
    arrives_here_ns_ = std::max(arrives_here_ns_, world_.loop.now_ns() + world_.random.Between(0, 2 * kMs));
    world_.loop.At(arrives_here_ns_, [self = shared_from_this(), message = std::move(next->front())] {
      if (!self->dead) self->Receive(message);
    });
  }
}

void SimWorker::Receive(const Message& message) {
  if (const auto* setup = std::get_if<SetupMessage>(&message)) {
    setup_ = *setup;
  } else if (const auto* assign = std::get_if<AssignMessage>(&message)) {
    waiting_.push_back(*assign);
  } else if (const auto* shrink = std::get_if<ShrinkMessage>(&message)) {
    shrinks_.push_back(*shrink);
    return;
  } else if (std::holds_alternative<StopMessage>(message)) {
    closed_ = true;
  }
  WakeIdle();
}

Result<int> SimPool::Start(WorkerId worker) {
  LEMAN_RETURN_IF_ERROR(world_.Enter(driver_, "start worker " + std::to_string(worker)));
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return MakeError(ErrorKind::kResourceExhausted, "no socket for a worker");
  }
  auto started = std::make_shared<SimWorker>(world_, table_, driver_, worker, ends[1]);
  driver_.workers[worker] = started;
  started->Start();
  return ends[0];
}

void SimPool::Kill(WorkerId worker, int64_t) {
  const auto found = driver_.workers.find(worker);
  if (!driver_.dead && found != driver_.workers.end()) found->second->Kill();
}

std::vector<PoolNews> SimPool::Poll() {
  constexpr uint64_t kWorldsPerDrain = 3;
  constexpr double kChance = 0.01;
  std::vector<PoolNews> news;
  if (world_.options.seed % kWorldsPerDrain != 0 || driver_.dead) return news;
  for (const auto& [id, worker] : driver_.workers) {
    if (worker->dead || worker->broken() || leaving_.contains(id) || !random_.Chance(kChance)) continue;
    leaving_.insert(id);
    ++world_.tally.drains;
    world_.Trace("the machine of " + worker->name + " is about to go");
    news.push_back({PoolNews::Kind::kLeaving, id, -1, 0, {}});
  }
  return news;
}

}  // namespace leman::sim
