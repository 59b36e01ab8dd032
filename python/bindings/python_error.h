// Python exceptions as Errors.
#pragma once

#include <nanobind/nanobind.h>

#include <string>

#include "base/result.h"

namespace leman::python {

/// The Error for an exception: an exception with an attribute `leman_kind` (python/leman/lance_errors.py) says its kind
/// itself; others get `kind`. Needs the GIL.
Error ErrorOf(const nanobind::python_error& exception, ErrorKind kind);

/// As ErrorOf, with the user's own frames of the traceback after the message. Needs the GIL.
Error UserErrorOf(nanobind::python_error& exception, const std::string& function_name);

}  // namespace leman::python
