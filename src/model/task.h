// A task: the row ranges that one worker computes in one go.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "model/row_failure.h"
#include "model/row_range.h"

namespace leman {

using TaskId = int64_t;

/// Usually one range of one fragment; many whole small fragments share a task, so that a task is worth sending.
struct Task {
  TaskId id = 0;
  int32_t attempt = 1;
  std::vector<RowRange> pieces;
  std::optional<RowFailure> given_up;  ///< The function is not called any more: its row is left null, with this error.

  [[nodiscard]] int64_t rows() const {
    int64_t sum = 0;
    for (const RowRange& piece : pieces) sum += piece.rows();
    return sum;
  }
};

}  // namespace leman
