// The worker's host: the ports of an applier over a Python WorkerSession (python/leman/lance_worker.py).
#pragma once

#include <nanobind/nanobind.h>

#include <memory>
#include <string>

#include "arrow_exchange.h"
#include "base/clock.h"
#include "job/worker.h"
#include "native_udfs.h"

namespace leman::python {

/// Called without the GIL; takes it for as long as Python runs.
class PythonWorkerHost final : public WorkerHost {
 public:
  /// `session_class` is called with the payload. Needs the GIL.
  explicit PythonWorkerHost(nanobind::object session_class) : session_class_(std::move(session_class)) {}

  Status SetUp(const SetupMessage& setup) override;
  Result<ThreadTools> MakeThreadTools() override;
  void FreeMemory() override;
  void OnCoordinatorGone() override;
  void OnStuck() override;

 private:
  /// Needs the GIL. `places`: large values go to their final place in files.
  Result<RiderTools> MakeRider(const nanobind::object& session, bool places);

  nanobind::object session_class_;
  nanobind::object session_;
  std::string checkpoint_root_;
  bool elsewhere_ = false;  ///< Checkpoints do not lie in the table.
  SystemClock clock_;
  NativeStates native_;
};

}  // namespace leman::python
