// Python values as an Arrow array, by the rules of a job.
#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>

namespace leman::python {

/// Calls `callable` without arguments once a row; its results as a pyarrow array of the type of `field`. Raises what it
/// raises, and for a value that does not fit what a job would say.
nanobind::object ArrayOfResults(const nanobind::object& callable, int64_t rows, const nanobind::object& field);

}  // namespace leman::python
