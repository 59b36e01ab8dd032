// How values lie in Arrow's buffers: bits, widths, nulls.
#pragma once

#include <cstdint>
#include <string_view>

#include "model/arrow_c_data.h"

namespace leman {

/// Bits that a value of a fixed-width format takes; 0 for the others.
int64_t FixedBits(std::string_view format);

/// Bit `index` of a bitmap.
inline bool BitAt(const void* bitmap, int64_t index) {
  return (static_cast<const uint8_t*>(bitmap)[index / 8] >> (index % 8) & 1) != 0;
}

/// Whether value `row` of `array` (its own offset is added) is not null.
inline bool IsValidAt(const ArrowArray& array, int64_t row) {
  return array.null_count == 0 || array.buffers[0] == nullptr || BitAt(array.buffers[0], array.offset + row);
}

}  // namespace leman
