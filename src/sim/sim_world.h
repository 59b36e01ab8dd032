// What everything in a simulated world shares: time, chance, storage, processes, and the list of broken promises.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "io/object_store.h"
#include "sim/sim_loop.h"
#include "sim/sim_random.h"

namespace leman::sim {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kSecond = 1'000'000'000;

/// A part of the world that breaks its word on purpose, to show that the invariants notice.
enum class Sabotage {
  kNone,
  kAcknowledgeEarly,   ///< Workers report checkpoints that are not durable yet.
  kForgetCheckpoints,  ///< Planning does not see the checkpoints that exist.
  kBlindCommit,        ///< The table does not say what others changed.
  kSwapParts,          ///< Assembly puts two checkpoints in the wrong order.
  kIgnoreDamage,       ///< Assembly does not check the checkpoints' bytes.
  kTrustOrder,         ///< Compactions are believed to keep rows in order.
  kDoubtOrder,         ///< No compaction is believed to keep rows in order.
  kCleanNothing,       ///< Cleanup leaves what it should remove.
  kCleanTooMuch,       ///< Cleanup removes data files that the table refers to.
};

/// Chances of one world, drawn from its seed: few worlds have all faults, some have none.
struct Faults {
  double worker_death = 0;  ///< A call of the function.
  double worker_hang = 0;
  double worker_slow = 0;
  double zombie = 0;        ///< A worker that is given up or killed: it goes on for a while.
  double driver_death = 0;  ///< An operation of a driver, each of which is a failpoint: before it, or after it.
  double driver_pause = 0;  ///< Likewise: it stands still, longer than its lease.
  double cut = 0;           ///< A message: its connection breaks and what is under way is lost.
  double doubled = 0;
  double reordered = 0;
  double late = 0;
  double store_error = 0;  ///< An operation: it fails; it happened all the same in half of the cases.
  double stale_list = 0;
  double torn = 0;  ///< A file of a worker that dies: its first half is there.
  double damage = 0;
  double commit_conflict = 0;
  double commit_unknown = 0;
  double change = 0;  ///< A second: another writer appends, deletes, compacts, updates.
  double clean = 0;   ///< A second: somebody runs `leman clean`.
  double two_drivers = 0;
  double cancel = 0;
  double clock_jump = 0;

  static Faults Draw(SimRandom& random);
  [[nodiscard]] bool none() const;
};

struct SimOptions {
  uint64_t seed = 0;
  bool trace = false;
  Sabotage sabotage = Sabotage::kNone;
  bool calm = false;  ///< No faults, whatever the seed says.
};

/// What happened in a world.
struct SimTally {
  int64_t drivers = 0;
  int64_t driver_deaths = 0;
  int64_t workers = 0;
  int64_t worker_deaths = 0;
  int64_t drains = 0;  ///< Workers whose machines were about to go.
  int64_t calls = 0;
  int64_t rows_computed = 0;
  int64_t checkpoints = 0;
  int64_t commits = 0;
  int64_t changes = 0;
  int64_t cleanups = 0;
  int64_t store_errors = 0;
  int64_t events = 0;

  void Add(const SimTally& other);
};

/// A driver or a worker. Dead ones go on running without any effect until their fibers have ended: that is how a fiber
/// is got rid of.
struct Process {
  std::string name;
  bool is_driver = false;
  bool dead = false;
  int64_t frozen_until_ns = 0;
  int64_t ghost_ns = 0;  ///< The time that a dead one believes has passed.
  int64_t clock_offset_us = 0;
  std::set<FiberId> asleep;
  std::function<void()> on_death;
};

struct StoredBytes {
  std::string bytes;
  int64_t changed_us = 0;
  bool damaged = false;
};

struct World {
  World(const SimOptions& sim_options, StackPool& stacks)
      : options(sim_options), random(sim_options.seed), loop(stacks) {}

  SimOptions options;
  SimRandom random;
  Faults faults;
  SimLoop loop;
  SimTally tally;
  std::vector<std::string> violations;
  std::map<std::string, StoredBytes> objects;
  int64_t incidents = 0;  ///< Faults that happened.
  static constexpr int64_t kEpochUs = 1'800'000'000'000'000;

  [[nodiscard]] int64_t now_us() const { return kEpochUs + loop.now_ns() / 1000; }
  void Violate(const std::string& what);
  void Trace(const std::string& what);
  /// Whether a fault happens now; counted.
  bool Fault(double chance, const char* what);

  /// Lets a process's time pass; returns at once where it is dead.
  void Sleep(Process& process, int64_t ns);
  /// Ends a process: everything it does from now on has no effect.
  void Die(Process& process, const char* why);
  /// Before and after every operation of a process on the world: latency, and the failpoints of a driver. kCancelled
  /// where the process is dead.
  Status Enter(Process& process, const std::string& operation);
  Status Leave(Process& process);
};

class ProcessClock final : public Clock {
 public:
  ProcessClock(World& world, Process& process) : world_(world), process_(process) {}
  [[nodiscard]] int64_t MonotonicNs() const override {
    if (process_.dead) process_.ghost_ns += kSecond;
    return world_.loop.now_ns() + process_.ghost_ns;
  }
  [[nodiscard]] int64_t UnixMicros() const override { return world_.now_us() + process_.clock_offset_us; }
  void SleepNs(int64_t ns) override { world_.Sleep(process_, ns); }

 private:
  World& world_;
  Process& process_;
};

/// The world's storage as one process reaches it.
class ProcessStore final : public ObjectStore {
 public:
  ProcessStore(World& world, Process& process) : world_(world), process_(process) {}

  Result<std::string> Get(const std::string& key) override;
  Result<std::string> GetRange(const std::string& key, int64_t offset, int64_t size_bytes) override;
  Status Put(const std::string& key, std::string_view bytes) override;
  Status PutIfAbsent(const std::string& key, std::string_view bytes) override;
  Result<std::vector<ObjectMeta>> List(const std::string& folder) override;
  Status Copy(const std::string& from, const std::string& to) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Status Delete(const std::string& key) override;
  Result<bool> Exists(const std::string& key) override;

  /// Called with what a listing of a folder said, and what is there.
  std::function<void(const std::string& folder, bool stale)> on_list;

 private:
  Status Change(const std::string& operation, const std::string& key, const std::function<Status()>& effect);

  World& world_;
  Process& process_;
};

// Column files: 9 bytes a row (valid, little-endian value), then 8 bytes of digest.
using Int64s = std::vector<std::optional<int64_t>>;
std::string EncodeValues(const Int64s& values);
/// kCorrupt where the digest says that the bytes are not those that were written; not asked where `check` is false.
Result<Int64s> DecodeValues(const std::string& name, const std::string& bytes, bool check = true);

}  // namespace leman::sim
