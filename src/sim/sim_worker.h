// Simulated worker processes around the real applier, and the connections to them.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "apply/applier.h"
#include "schedule/worker_pool.h"
#include "sim/sim_table.h"
#include "sim/sim_world.h"
#include "transport/channel.h"

namespace leman::sim {

struct SimDriver;

/// A worker: ServeWorker with fibers for threads, and ways to fail.
class SimWorker : public Process, public std::enable_shared_from_this<SimWorker> {
 public:
  /// Takes over `fd`, its end of the connection.
  SimWorker(World& world, SimTable& table, SimDriver& driver, WorkerId id, int fd);
  SimWorker(const SimWorker&) = delete;
  SimWorker& operator=(const SimWorker&) = delete;
  ~SimWorker();

  void Start();
  /// What the driver has sent until now is on its way.
  void TakeFromDriver();
  /// The driver wants it gone; a zombie stays for a while.
  void Kill();
  /// The connection is no more; the worker notices soon, or, as a zombie, late.
  void Break();
  [[nodiscard]] WorkerId id() const { return id_; }
  [[nodiscard]] bool broken() const { return broken_; }
  [[nodiscard]] bool fibers_done() const;

  // Of its function and files, on its own fibers:
  Result<OwnedArray> Call(OwnedArray inputs, const RowMask* selected);
  [[nodiscard]] World& world() { return world_; }

 private:
  class Reporter;

  void Live();
  void RunTasks(int64_t thread);
  void Send(const Message& message);
  void Deliver(const std::string& frame, bool last);
  void Receive(const Message& message);
  void CloseAfterDeath();
  void LoseDriver();
  void Idle();
  void WakeIdle();

  World& world_;
  SimTable& table_;
  SimDriver& driver_;
  WorkerId id_;
  int fd_;
  FrameParser parser_;
  bool broken_ = false;
  bool lost_driver_ = false;
  bool closed_ = false;  ///< Told to stop.
  int64_t arrives_there_ns_ = 0;
  int64_t arrives_here_ns_ = 0;
  std::optional<SetupMessage> setup_;
  std::deque<AssignMessage> waiting_;
  std::vector<ShrinkMessage> shrinks_;
  std::vector<FiberId> fibers_;
  std::set<FiberId> idle_;
  std::string held_back_;  ///< A frame that the next one overtakes.
};

class SimPool final : public WorkerPool {
 public:
  SimPool(World& world, SimTable& table, SimDriver& driver)
      : world_(world), table_(table), driver_(driver), random_(world.options.seed + 1) {}
  Result<int> Start(WorkerId worker) override;
  void Kill(WorkerId worker, int64_t pid) override;
  std::string ExitReason(WorkerId, int64_t) override { return "was killed by the simulator"; }
  /// In every third world, machines are about to go now and then: no fault, nothing may be computed twice for it.
  std::vector<PoolNews> Poll() override;

 private:
  World& world_;
  SimTable& table_;
  SimDriver& driver_;
  SimRandom random_;  ///< Of its own, so that the other worlds are what they were.
  std::set<WorkerId> leaving_;
};

}  // namespace leman::sim
