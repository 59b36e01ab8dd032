// Workers that somebody else places: RemoteWorkerPool over a launcher in Python (python/leman/ray_launcher.py).
#pragma once

#include <nanobind/nanobind.h>

#include <memory>
#include <string>
#include <vector>

#include "job/remote_worker_pool.h"

namespace leman::python {

/// Called without the GIL.
class PythonLauncher final : public WorkerLauncher {
 public:
  /// Needs the GIL; so does the destructor.
  explicit PythonLauncher(nanobind::object launcher) : launcher_(std::move(launcher)) {}

  void Launch(const LaunchOrder& order) override;
  void Stop(int64_t launch) override;
  std::vector<LaunchNews> TakeNews() override;
  std::vector<std::string> Nodes() override;
  /// Tells the launcher which port workers connect to.
  void Listening(uint16_t port);

 private:
  nanobind::object launcher_;
};

/// The pool that `remote` describes: "host", "port", "token" (bytes), "versions", "beat_s", "lease_s" and "launcher".
/// Needs the GIL; throws std::runtime_error where no server can be opened.
class RemoteWorkers {
 public:
  RemoteWorkers(const nanobind::dict& remote, Clock& clock);

  [[nodiscard]] WorkerPool& pool() { return *pool_; }

 private:
  PythonLauncher launcher_;
  std::unique_ptr<RemoteWorkerPool> pool_;
};

/// Be a worker of the coordinator that `order` names ("host", "port", "token", "worker", "node", "versions",
/// "timeout_s") until it says stop; `session_class` is called with the payload.
void ServeRemoteWorker(const nanobind::dict& order, const nanobind::object& session_class);

}  // namespace leman::python
