// A simulated driver process around the real job.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "job/backfill.h"
#include "sim/sim_table.h"
#include "sim/sim_worker.h"

namespace leman::sim {

/// What a driver may not hand out any more: rows of checkpoints that it knows of.
class AcknowledgedRows {
 public:
  AcknowledgedRows(World& world, const SimTable& table, const TableView& view, const BackfillSpec& spec)
      : world_(world), table_(table), view_(view), spec_(spec) {}

  /// A listing of the checkpoint folder, as planning saw it: a new round begins.
  void OnListing(const std::string& folder, bool stale);
  void OnAssign(WorkerId worker, const AssignMessage& assign);
  /// A checkpoint's message has reached the driver's end of the connection.
  void OnArrival(WorkerId worker, const CheckpointDone& done);
  void OnKill(WorkerId worker);
  /// The driver has read what had arrived at the last turn.
  void OnTurn();

 private:
  struct Known {
    RowRange range;
    std::string fragment_key;
  };
  struct Arrived {
    WorkerId worker;
    Known known;
    int turns = 0;
  };
  void LearnCompacted(const Known& known);
  void CheckCompacted(const RowRange& piece);

  World& world_;
  const SimTable& table_;
  const TableView& view_;
  const BackfillSpec& spec_;
  std::vector<Known> known_;
  std::map<int64_t, std::pair<int64_t, int64_t>> compacted_;  ///< Rows of compacted fragments: their x and fragment.
  std::vector<Arrived> arrived_;
  std::map<TaskId, std::pair<WorkerId, int32_t>> holders_;  ///< Of each task, and the attempt.
};

class SimRuntime final : public JobRuntime {
 public:
  SimRuntime(World& world, SimDriver& driver) : world_(world), driver_(driver) {}
  void Wait(std::vector<pollfd>& polled, int timeout_ms) override;
  std::unique_ptr<BackgroundWork> StartThreads(int threads) override;
  uint64_t RandomBits() override { return world_.random.Bits(); }

 private:
  World& world_;
  SimDriver& driver_;
};

class SimAssembler final : public Assembler {
 public:
  SimAssembler(World& world, ObjectStore& store) : world_(world), store_(store) {}
  Result<AssembledFragment> Assemble(int64_t fragment_id, const std::vector<FragmentPart>& parts, int64_t physical_rows,
                                     const std::string& file_name) override;
  Result<int64_t> TakeRows(const FragmentPart& part, const std::string& to_key) override;

 private:
  World& world_;
  ObjectStore& store_;
};

class SimHost final : public JobHost {
 public:
  SimHost(World& world, SimDriver& driver) : world_(world), driver_(driver) {}
  Result<std::string> WorkerPayload() override;
  RowDecision DecideRow(const RowFailure&) override { return RowDecision::kRetry; }
  bool OnProgress(const JobMetrics& metrics, const std::string& phase) override;

 private:
  World& world_;
  SimDriver& driver_;
  int64_t rows_seen_ = -1;
  int64_t seen_ns_ = 0;
};

struct SimDriver : Process {
  SimDriver(World& sim_world, SimTable& sim_table, BackfillSpec job);
  /// Starts the job on a fiber of its own.
  void Start();
  void WakeLoop();

  World& world;
  SimTable& table;
  BackfillSpec spec;
  ProcessClock clock;
  ProcessStore store;
  TableView view;
  SimAssembler assembler;
  SimHost host;
  SimPool pool;
  SimRuntime runtime;
  AcknowledgedRows acknowledged;
  std::map<WorkerId, std::shared_ptr<SimWorker>> workers;
  std::optional<JobResult> result;
  FiberId loop_fiber = 0;
  bool waiting = false;
  bool cancelled_by_user = false;
};

}  // namespace leman::sim
