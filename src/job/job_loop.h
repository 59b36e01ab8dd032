// Carries out one plan: workers, checkpoints, assembly, commits, on one event loop.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "commit/commit_queue.h"
#include "commit/committer.h"
#include "job/background.h"
#include "job/column_lease.h"
#include "job/job_log.h"
#include "job/job_ports.h"
#include "model/backfill_spec.h"
#include "plan/planner.h"
#include "schedule/scheduler.h"
#include "transport/channel.h"

namespace leman {

/// What the loops of one job share.
struct JobProgress {
  JobMetrics metrics;
  int64_t version = 0;  ///< The version of the job's last commit; 0: none.
  std::string writers;  ///< What the names of all workers of this run begin with.
  WorkerId next_worker = 1;
  std::set<std::string> discarded;  ///< Keys of corrupt checkpoints; each may be discarded once.
  std::set<std::string> carried;    ///< Checkpoints of rewritten fragments of which rows were taken.
  bool carry_refused = false;       ///< Rows of such could not be taken.
};

/// One use: construct, Run, destroy. The destructor leaves no worker behind.
class JobLoop {
 public:
  /// Everything outlives the loop.
  JobLoop(const BackfillSpec& spec, const Plan& plan, JobPorts ports, JobLog& log, JobProgress& progress,
          CheckpointStore& checkpoints, ColumnLease& lease);
  ~JobLoop();
  JobLoop(const JobLoop&) = delete;
  JobLoop& operator=(const JobLoop&) = delete;

  /// Until every fragment of the plan is committed or has to be planned again, or something fails. What was
  /// checkpointed or committed stays in either case. Returns the number of fragments to plan again.
  Result<int64_t> Run();

 private:
  struct WorkerEntry {
    explicit WorkerEntry(int fd) : channel(fd) {}
    ServerChannel channel;
    int64_t pid = 0;
    bool ready = false;
    int64_t heard_ns = 0;  ///< When it last said anything.
    int64_t started_ns = 0;
  };
  struct FragmentEntry {
    const FragmentPlan* plan = nullptr;
    std::map<int64_t, FragmentPart> parts;  ///< By start row.
    int64_t rows_covered = 0;
    bool assembling = false;
    std::string file_name;
  };

  // job_loop.cc: the loop itself.
  void Prepare();
  Status LoopOnce();
  void Listen();
  void WindDown();
  [[nodiscard]] bool finished() const;
  Status CheckStop();
  void Tick();
  // job_loop_workers.cc: workers and their messages.
  void Obey(const Scheduler::Commands& commands);
  void SendTo(WorkerId id, const Message& message);
  void StartWorkers(int32_t count);
  void Welcome(WorkerId id, int fd, int64_t pid);
  void TakePoolNews();
  void KeepAlive(int64_t now_ns);
  void Assign(const AssignTask& assign);
  void ReadWorker(WorkerId id);
  void OnMessage(WorkerId id, const Message& message);
  void OnCheckpoint(const CheckpointDone& done);
  void TellOfSmallParts(const CheckpointDone& done);
  void AddSkipped(const std::vector<SkippedRow>& rows);
  void OnTaskFailed(WorkerId id, const TaskFailed& failed);
  void OnBlamed(const BlameRow& blame);
  void ReplaceSlowStarters();
  void LoseWorker(WorkerId id, std::optional<WorkerLoss> loss);
  void RetireWorker(WorkerId id);
  void StopWorkers();
  // job_loop_finish.cc: assembly and commit.
  void AddPart(FragmentPart part);
  Status VerifyFound(const std::vector<FragmentPart>& parts);
  Status TakeCarried(std::vector<FragmentPart>& parts, const std::string& fragment_key);
  Result<AssembledFragment> MakeDataFile(const FragmentPlan& plan, std::vector<FragmentPart>& parts,
                                         const std::string& file_name);
  void DeleteParts(const FragmentEntry& fragment);
  static bool HasUploads(const FragmentEntry& fragment);
  void Assemble(FragmentEntry& fragment);
  /// The name that the fragment's data file will have, from the first time that it is asked for on.
  const std::string& DataFileOf(FragmentEntry& fragment);
  void OnAssembled(int64_t fragment_id, std::vector<FragmentPart> parts, Result<AssembledFragment> assembled,
                   int64_t elapsed_ns);
  bool CanPlanAgain(int64_t fragment_id, const Error& error);
  void DropUploads(const std::vector<FragmentPart>& parts);
  void PlanAgain(const std::vector<int64_t>& fragment_ids);
  void CommitIfDue();
  void Drain();
  void OnCommitted(Result<CommitOutcome> outcome, int64_t elapsed_ns);
  void Fail(Error error);

  const BackfillSpec& spec_;
  const Plan& plan_;
  JobPorts ports_;
  JobLog& log_;
  JobProgress& progress_;
  JobMetrics& metrics_;
  CheckpointStore& checkpoints_;
  ColumnLease& lease_;
  std::string host_payload_;
  Scheduler scheduler_;
  CommitQueue commit_queue_;
  Committer committer_;
  std::map<int64_t, FragmentEntry> fragments_;
  std::map<int64_t, FragmentInfo> expected_;
  std::map<WorkerId, std::unique_ptr<WorkerEntry>> workers_;
  std::set<WorkerId> arriving_;  ///< Started, but not connected yet.
  int64_t last_beat_ns_ = 0;
  int64_t deadline_ns_ = -1;
  int64_t last_tick_ns_ = 0;
  int64_t last_progress_ns_ = 0;
  int64_t metrics_base_tasks_total_ = 0;
  int64_t metrics_base_tasks_done_ = 0;
  int64_t metrics_base_retries_ = 0;
  bool commit_running_ = false;
  bool told_of_small_parts_ = false;
  int64_t assemblies_running_ = 0;
  int64_t fragments_settled_ = 0;  ///< Committed, or to be planned again.
  int64_t fragments_again_ = 0;
  std::optional<Error> failure_;
  std::optional<std::set<std::pair<WorkerId, TaskId>>> ending_tasks_;  ///< While winding down: not ended yet.
  std::set<std::pair<WorkerId, TaskId>> failed_tasks_;
  std::atomic<bool> failed_ = false;  ///< For the background threads: nothing new is worth beginning.
  LoopInbox inbox_;
  // Last, so that they end before what their closures use.
  std::unique_ptr<BackgroundWork> committing_;
  std::unique_ptr<BackgroundWork> assembling_;
};

}  // namespace leman
