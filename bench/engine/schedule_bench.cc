// schedule_bench [workers] [tasks]: plans and schedules a simulated job on the engine's own planner and scheduler, in
// virtual time; prints the CPU seconds and the memory that it took, as JSON.
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <deque>
#include <map>
#include <queue>
#include <random>
#include <vector>

#include "plan/planner.h"
#include "schedule/scheduler.h"

namespace leman {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kTickNs = 50 * kMs;
constexpr int64_t kTaskRows = 1000;
constexpr int64_t kTasksPerFragment = 100;

// What a worker reports next; a task is two reports of progress, one checkpoint and its end.
struct Report {
  int64_t at_ns = 0;
  WorkerId worker = 0;
  TaskId task = 0;
  int32_t attempt = 0;
  bool done = false;
  bool operator>(const Report& other) const { return at_ns > other.at_ns; }
};

class Simulation {
 public:
  Simulation(int32_t workers, std::vector<Task> tasks)
      : scheduler_(Options(workers), std::move(tasks)), queued_(static_cast<size_t>(workers) * 2 + 1) {}

  void Run() {
    Obey(scheduler_.Start());
    int64_t next_tick_ns = 0;
    while (!scheduler_.finished()) {
      const Report report = reports_.top();
      reports_.pop();
      now_ns_ = report.at_ns;
      for (; next_tick_ns <= now_ns_; next_tick_ns += kTickNs) {
        Obey(scheduler_.OnTick(now_ns_));
        rows_in_hand_ += scheduler_.RowsInHand();
        ++ticks_;
      }
      Take(report);
    }
  }

  [[nodiscard]] int64_t messages() const { return messages_; }
  [[nodiscard]] int64_t ticks() const { return ticks_; }
  [[nodiscard]] const Scheduler& scheduler() const { return scheduler_; }
  [[nodiscard]] double virtual_s() const { return static_cast<double>(now_ns_) / 1e9; }

 private:
  static SchedulerOptions Options(int32_t workers) {
    SchedulerOptions options;
    options.max_workers = workers;
    return options;
  }

  void Obey(const Scheduler::Commands& commands) {
    for (const Command& command : commands) {
      if (const auto* start = std::get_if<StartWorkers>(&command)) {
        for (int32_t i = 0; i < start->count; ++i) Obey(scheduler_.OnWorkerReady(next_worker_++));
      } else if (const auto* assign = std::get_if<AssignTask>(&command)) {
        ++messages_;
        auto& queue = queued_[static_cast<size_t>(assign->worker)];
        queue.push_back(assign->task);
        if (queue.size() == 1) Begin(assign->worker);
      } else if (const auto* fail = std::get_if<FailJob>(&command)) {
        std::fprintf(stderr, "schedule_bench: %s\n", fail->error.message.c_str());
        std::exit(1);
      }
    }
  }

  // Two thirds of a second to four thirds, as functions are.
  void Begin(WorkerId worker) {
    const Task& task = queued_[static_cast<size_t>(worker)].front();
    const auto takes_ns = std::uniform_int_distribution<int64_t>(667 * kMs, 1333 * kMs)(random_);
    reports_.push({now_ns_ + takes_ns / 2, worker, task.id, task.attempt, false});
    reports_.push({now_ns_ + takes_ns, worker, task.id, task.attempt, true});
  }

  void Take(const Report& report) {
    auto& queue = queued_[static_cast<size_t>(report.worker)];
    const std::vector<RowRange> pieces = queue.front().pieces;
    const int64_t rows = queue.front().rows();
    ++messages_;
    Obey(scheduler_.OnProgress(report.worker, report.task, report.attempt, report.done ? rows : rows / 2, now_ns_));
    if (!report.done) return;
    messages_ += 2;
    for (const RowRange& piece : pieces) {
      if (!scheduler_.OnCheckpoint(report.task, report.attempt, piece)) std::exit(1);
    }
    queue.pop_front();
    if (!queue.empty()) Begin(report.worker);
    Obey(scheduler_.OnTaskDone(report.worker, report.task, report.attempt));
  }

  Scheduler scheduler_;
  std::vector<std::deque<Task>> queued_;
  std::priority_queue<Report, std::vector<Report>, std::greater<>> reports_;
  std::mt19937_64 random_{1};
  WorkerId next_worker_ = 1;
  int64_t now_ns_ = 0;
  int64_t messages_ = 0;
  int64_t ticks_ = 0;
  int64_t rows_in_hand_ = 0;
};

double CpuSeconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

int Main(int32_t workers, int64_t tasks) {
  BackfillSpec spec;
  spec.job_id = "bench";
  spec.column = "y";
  spec.udf_version = "1";
  spec.output_type = "int64";
  spec.concurrency = workers;
  spec.task_rows = kTaskRows;
  std::vector<FragmentInfo> fragments;
  for (int64_t id = 0; id < tasks / kTasksPerFragment; ++id) {
    fragments.push_back({id, kTaskRows * kTasksPerFragment, 0, "input-" + std::to_string(id), "", ""});
  }
  Plan plan = MakePlan(spec, fragments, {}, CheckpointIndex(std::vector<StoredCheckpoint>{}));
  const double plan_s = CpuSeconds();
  const auto planned = static_cast<int64_t>(plan.tasks.size());
  Simulation simulation(workers, std::move(plan.tasks));
  simulation.Run();
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  std::printf(
      "{\"workers\": %d, \"tasks\": %ld, \"messages\": %ld, \"ticks\": %ld, \"virtual_s\": %.0f, "
      "\"plan_cpu_s\": %.2f, \"cpu_s\": %.2f, \"peak_mib\": %ld}\n",
      workers, planned, simulation.messages(), simulation.ticks(), simulation.virtual_s(), plan_s, CpuSeconds(),
      usage.ru_maxrss / 1024);
  return simulation.scheduler().tasks_done() >= planned ? 0 : 1;
}

}  // namespace
}  // namespace leman

int main(int argc, char** argv) {
  return leman::Main(argc > 1 ? std::atoi(argv[1]) : 1000, argc > 2 ? std::atol(argv[2]) : 1'000'000);
}
