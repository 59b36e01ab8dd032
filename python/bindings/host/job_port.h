// A running backfill's word with the caller, as a Python object: a ProgressSink and a CancelToken in one.
#pragma once

#include <nanobind/nanobind.h>

#include "api/host.h"

namespace leman::host {

/// Lives no longer than the call that it is made for.
class JobPort {
 public:
  explicit JobPort(api::JobWatch& watch) : watch_(watch) {}

  /// `snapshot`: python/leman/progress.py, ProgressSink. Gives up the GIL while the caller's callback runs.
  void Update(const nanobind::dict& snapshot) const;
  [[nodiscard]] bool cancelled() const { return watch_.cancelled(); }

 private:
  api::JobWatch& watch_;
};

void BindJobPort(nanobind::module_& module);

}  // namespace leman::host
