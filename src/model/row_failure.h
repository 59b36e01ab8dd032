// Why a row has no value, where no exception of the function tells it.
#pragma once

#include <cstdint>
#include <string>

namespace leman {

struct RowFailure {
  std::string error_type;  ///< A class of python/leman/errors.py: "WorkerCrashError".
  std::string message;
  int64_t attempts = 1;  ///< How often the row was tried.
};

/// What the row-failure policy says about a row.
enum class RowDecision { kFail, kSkip, kRetry };

}  // namespace leman
