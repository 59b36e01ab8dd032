// Native UDFs for Python: what a library offers, a worker's function, and a call outside of a job.
#pragma once

#include <nanobind/nanobind.h>

#include <memory>
#include <string>

#include "apply/udf.h"
#include "udf/native_udf.h"

namespace leman::python {

/// The state of a worker's native function, shared by its threads where the function allows it.
class NativeStates {
 public:
  /// `session`: a WorkerSession whose `native_function()` gives (path, name, parameters). Needs the GIL.
  Result<std::unique_ptr<Udf>> MakeUdf(const nanobind::object& session, const ArrowSchema& inputs, OwnedSchema output);

 private:
  std::shared_ptr<const NativeState> shared_;
};

/// Adds `describe_native_library` and `call_native_function` to the module.
void BindNativeUdfs(nanobind::module_& module);

}  // namespace leman::python
