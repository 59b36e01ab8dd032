// WorkerPool on this machine: asks the process that forks workers for one more.
#pragma once

#include <deque>
#include <functional>
#include <set>
#include <string>
#include <utility>

#include "job/oom_kills.h"
#include "schedule/worker_pool.h"

namespace leman {

/// The fork server (python/leman/worker_server.py) has imported everything a worker needs and has no thread, so a new
/// worker costs milliseconds. Protocol on `control_fd`, a unix stream socket: to it, one byte 'w' with the worker's
/// socket attached; from it, lines "<pid> <wait status>\n" for workers that ended. It ends with its control socket.
class LocalWorkerPool final : public WorkerPool {
 public:
  /// `control_fd` stays the caller's.
  explicit LocalWorkerPool(
      int control_fd, std::function<int64_t()> count_oom_kills = [] { return CountOomKills(); })
      : control_fd_(control_fd), count_oom_kills_(std::move(count_oom_kills)), oom_kills_(count_oom_kills_()) {}

  Result<int> Start(WorkerId worker) override;
  void Kill(WorkerId worker, int64_t pid) override;
  std::string ExitReason(WorkerId worker, int64_t pid) override;
  bool WasOutOfMemory(int64_t pid) override { return out_of_memory_.contains(pid); }

 private:
  using Exits = std::deque<std::pair<int64_t, int>>;  ///< Process and status.

  Exits::iterator FindExit(int64_t pid);
  bool ReadExits(int timeout_ms);
  std::string Describe(int64_t pid, int status);

  int control_fd_;
  std::function<int64_t()> count_oom_kills_;
  int64_t oom_kills_;
  std::set<int64_t> out_of_memory_;
  std::string unread_;
  Exits exits_;  ///< As they came; those not asked about yet.
};

/// "exited with code 1", "killed by signal 11 (Segmentation fault)".
std::string DescribeWaitStatus(int status);

}  // namespace leman
