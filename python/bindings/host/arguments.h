// Options of the C++ API as keyword arguments of the Python API. All of it needs the GIL.
#pragma once

#include <nanobind/nanobind.h>

#include "leman/leman.h"

namespace leman::host {

[[nodiscard]] nanobind::dict ArgumentsOf(const CreateTableOptions& options);
[[nodiscard]] nanobind::dict ArgumentsOf(const ScanOptions& options);
/// A leman.NativeFunction.
[[nodiscard]] nanobind::object FunctionOf(const NativeUdf& udf);
/// All but progress and cancel.
[[nodiscard]] nanobind::dict ArgumentsOf(const BackfillOptions& options);

}  // namespace leman::host
