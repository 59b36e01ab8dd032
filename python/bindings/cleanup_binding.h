// `leman clean` as Python calls it (python/leman/lance_cleanup.py).
#pragma once

#include <nanobind/nanobind.h>

namespace leman::python {

/// Adds plan_cleanup and clean_table to the module.
void BindCleanup(nanobind::module_& m);

}  // namespace leman::python
