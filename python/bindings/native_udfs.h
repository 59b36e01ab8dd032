// Native UDFs for Python: what a library offers, a worker's function, and a call outside of a job.
#pragma once

#include <nanobind/nanobind.h>

#include <map>
#include <memory>
#include <string>
#include <tuple>

#include "apply/udf.h"
#include "udf/native_udf.h"

namespace leman::python {

/// The states of a worker's native functions, that of its column and those computed alongside; each is shared by the
/// worker's threads where the function allows it.
class NativeStates {
 public:
  /// `session`: a WorkerSession whose `native_function()` gives (path, name, parameters). Needs the GIL.
  /// `calls`: null where they have no time limit.
  Result<std::unique_ptr<Udf>> MakeUdf(const nanobind::object& session, const ArrowSchema& inputs, OwnedSchema output,
                                       std::shared_ptr<NativeCalls> calls);

 private:
  /// Library, function, parameters, inputs.
  using Key = std::tuple<std::string, std::string, std::string, std::string>;
  std::map<Key, std::shared_ptr<const NativeState>> shared_;
};

/// Adds `describe_native_library` and `call_native_function` to the module.
void BindNativeUdfs(nanobind::module_& module);

}  // namespace leman::python
