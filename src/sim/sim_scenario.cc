#include "sim/sim_scenario.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "job/cleanup.h"
#include "sim/sim_driver.h"
#include "sim/sim_table.h"

namespace leman::sim {
namespace {

constexpr int kFaultyRuns = 8;
constexpr int kQuietRuns = 6;
constexpr int64_t kRunLimitNs = 900 * kSecond;
constexpr int64_t kCancelLimitNs = 300 * kSecond;
constexpr int64_t kMaxEvents = 400'000;

class Scenario {
 public:
  Scenario(const SimOptions& options, StackPool& stacks)
      : world_(options, stacks), filtered_(world_.random.Chance(0.25)), table_(world_, filtered_) {
    world_.faults = Faults::Draw(world_.random);
    if (options.calm) world_.faults = {};
    faults_ = world_.faults;
    const int64_t fragments = world_.random.Between(1, 5);
    table_.Create(fragments, world_.random.Chance(0.3) ? 40 : 12, world_.random.Chance(0.3));
    DrawSpec();
  }

  SimReport Run() {
    const int64_t wanted = table_.rows_wanted();
    ScheduleOthers();
    for (int run = 0; run < kFaultyRuns && !exhausted(); ++run) {
      const auto driver = StartDriver();
      RunUntilEnded(*driver, true);
      if (driver->result && driver->result->status == JobStatus::kDone) break;
      // The next one comes at once, or after the lease of a dead one has expired.
      RunFor(world_.random.Chance(0.5) ? world_.random.Between(0, 2) * kSecond : 70 * kSecond);
    }
    others_stop_ = true;
    world_.faults = {};
    const bool calm = world_.incidents == 0;
    RunFor(200 * kSecond);
    // Those that were taken for dead, too.
    for (const auto& driver : drivers_) RunUntilEnded(*driver, false);
    FinishQuietly();
    if (calm && world_.tally.rows_computed != wanted) {
      world_.Violate(std::to_string(world_.tally.rows_computed) + " rows were computed without any fault, not " +
                     std::to_string(wanted));
    }
    CheckBound(wanted);
    table_.CheckEveryRow();
    CheckNothingIsLeft();
    table_.CheckEveryVersion();
    End();
    world_.tally.events = world_.loop.events_run();
    return {world_.violations, world_.tally};
  }

 private:
  [[nodiscard]] bool exhausted() const { return world_.loop.events_run() > kMaxEvents; }

  void DrawSpec() {
    SimRandom& random = world_.random;
    spec_.table_name = "t";
    spec_.table_root = "sim";
    spec_.column = "y";
    spec_.udf_name = "the_function";
    spec_.udf_version = "v1";
    spec_.output_type = "int64";
    spec_.input_columns = 1;
    spec_.concurrency = static_cast<int32_t>(random.Between(1, 3));
    spec_.intra_applier_concurrency = random.Chance(0.2) ? 2 : 1;
    spec_.batch_size = random.Between(1, 12);
    spec_.batch_size_fixed = random.Chance(0.5);
    spec_.task_shuffle_diversity = random.Between(1, 4);
    if (random.Chance(0.6)) spec_.checkpoint_rows = random.Between(1, 12);
    if (random.Chance(0.6)) spec_.task_rows = random.Between(2, 20);
    spec_.commit_granularity = random.Between(1, 4);
    if (random.Chance(0.2)) spec_.commit_granularity.reset();
    if (filtered_) spec_.where = kWhere;
    if (random.Chance(0.5)) spec_.stall_timeout_s = 15;
  }

  std::shared_ptr<SimDriver> StartDriver() {
    BackfillSpec spec = spec_;
    spec.job_id = "job" + std::to_string(drivers_.size());
    spec.read_version = table_.latest();
    spec.done_version = table_.done_version;
    drivers_.push_back(std::make_shared<SimDriver>(world_, table_, std::move(spec)));
    if (world_.Fault(world_.faults.clock_jump, "clock jumps")) {
      drivers_.back()->clock_offset_us = world_.random.Between(-100, 100) * 1'000'000;
    }
    drivers_.back()->Start();
    return drivers_.back();
  }

  [[nodiscard]] bool Ended(const SimDriver& driver) const { return world_.loop.finished(driver.loop_fiber); }

  void RunFor(int64_t ns) {
    bool passed = false;
    world_.loop.At(world_.loop.now_ns() + ns, [&passed] { passed = true; });
    while (!passed && world_.loop.RunOne()) {
    }
  }

  // Until the driver's process has ended. One that stands still is taken for dead by the user, who starts another.
  void RunUntilEnded(SimDriver& driver, bool may_give_up) {
    const int64_t limit_ns = world_.loop.now_ns() + kRunLimitNs;
    while (!Ended(driver) && world_.loop.RunOne()) {
      const bool still = driver.frozen_until_ns > world_.loop.now_ns() + 20 * kSecond;
      if (may_give_up && still) return;
      if (may_give_up && second_driver_due_) {
        second_driver_due_ = false;
        StartDriver();
      }
      // Where faults come faster than progress, the user cancels; a job that does not end then either is a defect.
      driver.cancelled_by_user = driver.cancelled_by_user || world_.loop.now_ns() > limit_ns;
      if (world_.loop.now_ns() > limit_ns + kCancelLimitNs || exhausted()) {
        world_.Violate(driver.name + " does not end");
        return world_.Die(driver, "since it does not end");
      }
    }
  }

  void ScheduleOthers() {
    world_.loop.At(world_.loop.now_ns() + 500 * kMs, [this] {
      if (others_stop_) return;
      if (world_.random.Chance(faults_.change / 2)) table_.Disturb();
      if (world_.random.Chance(faults_.clean / 2)) Clean();
      if (world_.random.Chance(faults_.two_drivers / 20)) {
        ++world_.incidents;
        second_driver_due_ = true;
      }
      ScheduleOthers();
    });
  }

  // No faults, no other writers: every job ends well, and one more finds nothing to do.
  void FinishQuietly() {
    for (int run = 0; run < kQuietRuns; ++run) {
      const int64_t before = world_.tally.rows_computed;
      const auto driver = StartDriver();
      RunUntilEnded(*driver, false);
      if (!driver->result || driver->result->status != JobStatus::kDone) {
        world_.Violate(driver->name + " fails without any fault: " +
                       (driver->result && driver->result->error ? driver->result->error->message : "no result"));
        return;
      }
      if (world_.tally.rows_computed == before) return;
    }
    world_.Violate("a table on which all is done is computed again and again");
  }

  // Every row is computed once, and again only for a reason.
  void CheckBound(int64_t wanted) {
    const int64_t most_rows = std::max<int64_t>(wanted, table_.rows_wanted());
    const int64_t reasons = world_.incidents + world_.tally.worker_deaths + world_.tally.driver_deaths;
    if (world_.tally.rows_computed > most_rows * (1 + reasons)) {
      world_.Violate(std::to_string(world_.tally.rows_computed) + " rows were computed for " +
                     std::to_string(most_rows) + " rows and " + std::to_string(reasons) + " faults");
    }
  }

  // What python/leman/lance_cleanup.py gathers, in its order.
  void Clean() {
    ++world_.tally.cleanups;
    ++world_.incidents;
    world_.Trace("somebody cleans");
    CleanupInputs inputs;
    inputs.now_micros = world_.now_us();
    for (const auto& [key, object] : world_.objects) {
      inputs.files.push_back({key, static_cast<int64_t>(object.bytes.size()), object.changed_us});
    }
    for (const auto& driver : drivers_) {
      KnownJob job;
      job.job_id = driver->spec.job_id;
      job.alive = !Ended(*driver) && !driver->dead;
      job.launched_micros = launched_us_[job.job_id];
      job.column = spec_.column;
      job.udf_version = spec_.udf_version;
      job.where = spec_.where;
      job.output_types = {spec_.output_type};
      if (job.alive) job.launched_micros.reset();
      inputs.jobs.push_back(std::move(job));
    }
    for (const auto& [key, object] : world_.objects) {
      if (!key.starts_with("_leman/leases/")) continue;
      const std::string& bytes = object.bytes;
      const bool alive = std::any_of(drivers_.begin(), drivers_.end(), [this, &bytes](const auto& driver) {
        return !Ended(*driver) && !driver->dead && bytes.find("\"" + driver->spec.job_id + "\"") != std::string::npos;
      });
      inputs.leases.push_back({key, object.bytes, alive});
    }
    inputs.referred_data = table_.ReferredFiles();
    if (world_.options.sabotage == Sabotage::kCleanTooMuch) inputs.referred_data.clear();
    if (world_.options.sabotage == Sabotage::kCleanNothing) return;
    const CleanupPlan plan = PlanCleanup(inputs);
    for (const CleanupItem& item : plan.remove) {
      const auto found = world_.objects.find(item.key);
      if (found == world_.objects.end() || (item.only_if_bytes && found->second.bytes != *item.only_if_bytes)) continue;
      world_.Trace("cleanup removes " + item.key);
      world_.objects.erase(found);
    }
  }

  void CheckNothingIsLeft() {
    RunFor(3600 * kSecond);
    Clean();
    const std::set<std::string> referred = table_.ReferredFiles();
    for (const auto& [key, object] : world_.objects) {
      const bool record = key.starts_with("_leman/jobs/") && key.ends_with(".json");
      const bool used = key.starts_with("data/") && referred.contains(key.substr(5));
      if (!record && !used) world_.Violate("cleanup leaves " + key);
    }
  }

  // Ends every process and lets its fibers run out.
  void End() {
    for (const auto& driver : drivers_) {
      for (const auto& [id, worker] : driver->workers) {
        if (!worker->fibers_done()) world_.Die(*worker, "the world ends");
      }
      if (!Ended(*driver)) world_.Die(*driver, "the world ends");
    }
    while (world_.loop.RunOne()) {
    }
  }

  World world_;
  bool filtered_;
  SimTable table_;
  Faults faults_;
  BackfillSpec spec_;
  std::vector<std::shared_ptr<SimDriver>> drivers_;
  std::map<std::string, int64_t> launched_us_;
  bool others_stop_ = false;
  bool second_driver_due_ = false;
};

}  // namespace

SimReport RunSeed(const SimOptions& options, StackPool& stacks) {
  Scenario scenario(options, stacks);
  return scenario.Run();
}

}  // namespace leman::sim
