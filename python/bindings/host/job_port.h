// A running backfill's word with the caller, as a Python object: a ProgressSink and a CancelToken in one.
#pragma once

#include <nanobind/nanobind.h>

#include <string>

#include "api/host.h"

namespace leman::host {

/// Lives no longer than the call that it is made for.
class JobPort {
 public:
  explicit JobPort(api::JobWatch& watch) : watch_(watch) {}

  /// `job`: what the job is, before the first snapshot.
  void Start(const nanobind::dict& job);
  /// `snapshot`: python/leman/progress.py, ProgressSink. Gives up the GIL while the caller's callback runs.
  void Update(const nanobind::dict& snapshot) const;
  [[nodiscard]] bool cancelled() const { return watch_.cancelled(); }

 private:
  api::JobWatch& watch_;
  std::string job_id_;
  std::string column_;
};

void BindJobPort(nanobind::module_& module);

}  // namespace leman::host
