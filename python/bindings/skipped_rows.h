// The rows that a Python row policy skipped, as the engine takes them.
#pragma once

#include <nanobind/nanobind.h>

#include <vector>

#include "model/task_outcome.h"

namespace leman::python {

/// From (row, type, message, traceback, attempts) tuples of python/leman/row_policy.py; the fragment is left open.
std::vector<SkippedRow> SkippedRowsFrom(const nanobind::object& rows);

}  // namespace leman::python
