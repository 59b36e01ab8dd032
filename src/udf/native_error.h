// What a native function's code and error mean to the engine.
#pragma once

#include <string>

#include "base/result.h"
#include "leman/udf_abi.h"

namespace leman {

/// The Error of a call of function `name` that returned `code`, which is not LEMAN_UDF_OK.
Error NativeError(const std::string& name, int code, const LemanUdfError& error);

}  // namespace leman
