// WorkerPool over machines: somebody else places the processes, and they connect to this one.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "schedule/worker_pool.h"
#include "transport/worker_listener.h"

namespace leman {

/// One try to start a worker.
struct LaunchOrder {
  WorkerId worker = 0;
  int64_t launch = 0;                    ///< The try's number, unique in a job.
  std::vector<std::string> avoid_nodes;  ///< Nodes that are suspect.
};

struct LaunchNews {
  enum class Kind {
    kEnded,    ///< The process of `launch` is gone, or will never be; `text` says why.
    kLeaving,  ///< The node that `text` names is about to go; no worker is placed on it any more.
    kNote,     ///< `text` is worth a line in the job's record.
    kFailed,   ///< The job can have no workers at all; `text` says why and what to do.
  };
  Kind kind = Kind::kNote;
  int64_t launch = 0;
  std::string text;
};

/// Port: places worker processes. No call waits for anything; all are made from one thread.
class WorkerLauncher {
 public:
  virtual ~WorkerLauncher() = default;
  virtual void Launch(const LaunchOrder& order) = 0;
  /// Ends the process of a launch, and forgets it; harmless if it is gone.
  virtual void Stop(int64_t launch) = 0;
  virtual std::vector<LaunchNews> TakeNews() = 0;
  /// The nodes that could hold a worker of this job, as far as is known now; none that is about to go.
  virtual std::vector<std::string> Nodes() = 0;
};

struct RemotePoolOptions {
  ListenOptions listen;
  Heartbeat heartbeat{1'000'000'000, 4'000'000'000};
  std::string versions;                  ///< What the hello of every worker has to say, see HelloMessage.
  int32_t max_failed_launches = 3;       ///< In a row, of one worker alone; each further worker allows one more.
  int64_t first_pause_ns = 500'000'000;  ///< Before the next launch after a failure; twice as long after each further.
  int64_t longest_pause_ns = 30'000'000'000;
  int64_t suspicion_ns = 20'000'000'000;  ///< How long a node is avoided on which a worker was lost without a reason.
  int64_t exit_wait_ns = 200'000'000;     ///< How long ExitReason waits for the launcher to know.
};

/// Decides when to launch again and where not to. A worker that ends before it has said hello is launched again, after
/// a pause; the job fails where that happens again and again and no other worker is there. One that is lost later is
/// the scheduler's to replace.
class RemoteWorkerPool final : public WorkerPool {
 public:
  /// `launcher` and `clock` outlive the pool.
  static Result<std::unique_ptr<RemoteWorkerPool>> Open(RemotePoolOptions options, WorkerLauncher& launcher,
                                                        Clock& clock);

  [[nodiscard]] uint16_t port() const { return listener_->port(); }

  [[nodiscard]] bool on_this_machine() const override { return false; }
  Result<int> Start(WorkerId worker) override;
  void Kill(WorkerId worker, int64_t pid) override;
  void Release(WorkerId worker) override;
  std::string ExitReason(WorkerId worker, int64_t pid) override;
  [[nodiscard]] int fd() const override { return listener_->fd(); }
  std::vector<PoolNews> Poll() override;
  [[nodiscard]] Heartbeat heartbeat() const override { return options_.heartbeat; }

 private:
  struct Entry {
    enum class State { kWaiting, kLaunched, kConnected } state = State::kWaiting;
    int64_t launch = 0;
    int64_t since_ns = 0;  ///< kWaiting: launch then; kLaunched: launched then.
    bool avoiding = false;
    std::string node;
    std::string ended;  ///< Why, once the launcher has said so.
  };

  RemoteWorkerPool(RemotePoolOptions options, WorkerLauncher& launcher, Clock& clock,
                   std::unique_ptr<WorkerListener> listener);
  void LaunchDue(int64_t now_ns);
  void TakeLauncherNews(int64_t now_ns, std::vector<PoolNews>& news);
  void OnEnded(WorkerId worker, Entry& entry, const std::string& why, int64_t now_ns, std::vector<PoolNews>& news);
  void OnLeaving(const std::string& node, std::vector<PoolNews>& news);
  void TakeArrivals(int64_t now_ns, std::vector<PoolNews>& news);
  [[nodiscard]] std::string WhyRefused(const Arrival& arrival) const;
  [[nodiscard]] std::vector<std::string> NodesToAvoid(int64_t now_ns);
  [[nodiscard]] int64_t PauseNs() const;
  void Suspect(const std::string& node);
  Entry* EntryOf(int64_t launch, WorkerId* worker);

  RemotePoolOptions options_;
  WorkerLauncher& launcher_;
  Clock& clock_;
  std::unique_ptr<WorkerListener> listener_;
  std::map<WorkerId, Entry> entries_;
  std::map<std::string, int64_t> suspect_until_ns_;  ///< By node.
  std::set<std::string> leaving_;                    ///< Nodes that are about to go.
  std::vector<PoolNews> unsaid_;
  int64_t next_launch_ = 1;
  int32_t failed_launches_ = 0;  ///< In a row.
  int32_t losses_ = 0;           ///< Of connected workers, since one has last stayed.
  int64_t last_loss_ns_ = 0;
};

}  // namespace leman
