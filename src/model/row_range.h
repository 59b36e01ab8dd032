// A contiguous range of physical rows of one fragment.
#pragma once

#include <cstdint>

namespace leman {

/// Physical rows [start, end) of a fragment; deleted rows count.
struct RowRange {
  int64_t fragment_id = 0;
  int64_t start = 0;
  int64_t end = 0;

  [[nodiscard]] int64_t rows() const { return end - start; }
  friend bool operator==(const RowRange&, const RowRange&) = default;
};

}  // namespace leman
