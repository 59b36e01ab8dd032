// coordinator_bench [workers] [tasks]: a whole job on the engine's own loop, over TCP, with workers that compute
// nothing and answer at once; prints how many task messages a second the coordinator handles, as JSON.
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <list>
#include <string>
#include <thread>
#include <vector>

#include "io/memory_object_store.h"
#include "job/backfill.h"
#include "job/remote_worker_pool.h"
#include "transport/channel.h"
#include "transport/worker_listener.h"

namespace leman {
namespace {

constexpr int64_t kTaskRows = 1000;
constexpr int64_t kTasksPerFragment = 1000;

// A table of nothing but sizes.
class Numbers final : public TableSnapshot, public TableTransaction {
 public:
  explicit Numbers(int64_t fragments) : fragments_(fragments) {}

  Result<std::vector<FragmentInfo>> Fragments() override {
    std::vector<FragmentInfo> all;
    for (int64_t id = 0; id < fragments_; ++id) all.push_back({id, kTaskRows * kTasksPerFragment, 0, "in", "", ""});
    return all;
  }
  Result<std::map<int64_t, int64_t>> CountSelected(const std::string&, const std::vector<int64_t>&) override {
    return std::map<int64_t, int64_t>{};
  }
  Result<int64_t> MoveToLatest() override { return version_; }
  Result<int64_t> LatestVersion() override { return version_; }
  Result<std::vector<FragmentInfo>> Inspect(int64_t, const std::vector<int64_t>&) override { return Fragments(); }
  Result<int64_t> Commit(int64_t, const std::vector<FragmentUpdate>&, const CommitMark&) override { return ++version_; }
  Result<std::optional<int64_t>> FindMark(int64_t, const CommitMark&) override { return std::optional<int64_t>(); }
  Status MarkDone(const std::string&) override { return Ok(); }

 private:
  int64_t fragments_;
  int64_t version_ = 1;
};

class NoAssembler final : public Assembler {
 public:
  Result<AssembledFragment> Assemble(int64_t fragment_id, const std::vector<FragmentPart>&, int64_t physical_rows,
                                     const std::string& file_name) override {
    AssembledFragment assembled;
    assembled.update.fragment_id = fragment_id;
    assembled.update.rows = physical_rows;
    assembled.update.file_name = file_name;
    return assembled;
  }
};

class NoHost final : public JobHost {
 public:
  Result<std::string> WorkerPayload() override { return std::string(); }
  RowDecision DecideRow(const RowFailure&) override { return RowDecision::kFail; }
  bool OnProgress(const JobMetrics&, const std::string&) override { return true; }
};

// Answers every task with what a worker says of one: progress, a checkpoint, its end.
void Answer(ClientChannel& channel) {
  while (true) {
    const Result<Message> message = channel.Receive();
    if (!message.ok() || std::holds_alternative<StopMessage>(*message)) return;
    const auto* assign = std::get_if<AssignMessage>(&*message);
    if (assign == nullptr) continue;
    const Task& task = assign->task;
    (void)channel.Send(ProgressMessage{task.id, task.attempt, task.rows()});
    for (size_t i = 0; i < task.pieces.size(); ++i) {
      CheckpointDone done;
      done.task = task.id;
      done.attempt = task.attempt;
      done.range = task.pieces[i];
      done.path = CheckpointFileName(task.pieces[i], assign->fragment_keys[i]);
      done.rows_computed = task.pieces[i].rows();
      (void)channel.Send(done);
    }
    (void)channel.Send(TaskDoneMessage{task.id, task.attempt});
  }
}

class ThreadLauncher final : public WorkerLauncher {
 public:
  explicit ThreadLauncher(std::string token) : token_(std::move(token)) {}
  ThreadLauncher(const ThreadLauncher&) = delete;
  ThreadLauncher& operator=(const ThreadLauncher&) = delete;
  ~ThreadLauncher() override {
    for (std::thread& thread : threads_) thread.join();
  }
  void Launch(const LaunchOrder& order) override {
    threads_.emplace_back([this, worker = order.worker] {
      const auto fd = DialCoordinator({{"127.0.0.1", port}, token_});
      if (!fd.ok()) return;
      ClientChannel channel(*fd);
      HelloMessage hello;
      hello.worker = worker;
      (void)channel.Send(hello);
      (void)channel.Send(ReadyMessage{});
      Answer(channel);
    });
  }
  void Stop(int64_t) override {}
  std::vector<LaunchNews> TakeNews() override { return {}; }
  std::vector<std::string> Nodes() override { return {}; }

  uint16_t port = 0;

 private:
  std::string token_;
  std::list<std::thread> threads_;
};

double ThreadCpuSeconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

int Main(int32_t workers, int64_t tasks) {
  BackfillSpec spec;
  spec.job_id = "bench";
  spec.table_root = "memory";
  spec.column = "y";
  spec.udf_version = "1";
  spec.output_type = "int64";
  spec.concurrency = workers;
  spec.task_rows = kTaskRows;
  Numbers table(tasks / kTasksPerFragment);
  MemoryObjectStore files;
  NoAssembler assembler;
  NoHost host;
  SystemClock clock;
  ThreadLauncher launcher(std::string(kTokenBytes, 'b'));
  RemotePoolOptions options;
  options.listen.token = std::string(kTokenBytes, 'b');
  auto pool = RemoteWorkerPool::Open(options, launcher, clock);
  if (!pool.ok()) return 1;
  launcher.port = (*pool)->port();
  const int64_t start_ns = clock.MonotonicNs();
  const double cpu_before_s = ThreadCpuSeconds();
  const JobResult result = RunBackfill(spec, {table, table, files, **pool, assembler, host, clock});
  const double wall_s = static_cast<double>(clock.MonotonicNs() - start_ns) / 1e9;
  const double cpu_s = ThreadCpuSeconds() - cpu_before_s;
  if (result.status != JobStatus::kDone) {
    std::fprintf(stderr, "coordinator_bench: %s\n", result.error ? result.error->message.c_str() : "not done");
    return 1;
  }
  // Assign, progress, checkpoint, done.
  const auto messages = static_cast<double>(4 * result.metrics.tasks_done);
  std::printf(
      "{\"workers\": %d, \"tasks\": %ld, \"wall_s\": %.2f, \"coordinator_cpu_s\": %.2f, \"messages_per_s\": %.0f, "
      "\"messages_per_cpu_s\": %.0f}\n",
      workers, result.metrics.tasks_done, wall_s, cpu_s, messages / wall_s, messages / cpu_s);
  return 0;
}

}  // namespace
}  // namespace leman

int main(int argc, char** argv) {
  return leman::Main(argc > 1 ? std::atoi(argv[1]) : 8, argc > 2 ? std::atol(argv[2]) : 100'000);
}
