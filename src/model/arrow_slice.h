// Views of parts of an Arrow batch that keep the batch alive.
#pragma once

#include <cstdint>
#include <memory>

#include "model/arrow_c_data.h"

namespace leman {

using SharedArray = std::shared_ptr<OwnedArray>;

/// Rows [offset, offset + length) of columns [first_column, last_column) of `batch` (a struct array) as a struct array
/// of their own. No value is copied; `batch` lives until the view is released.
OwnedArray SliceColumns(const SharedArray& batch, int64_t first_column, int64_t last_column, int64_t offset,
                        int64_t length);

/// Rows [offset, offset + length) of one column of `batch`.
OwnedArray SliceColumn(const SharedArray& batch, int64_t column, int64_t offset, int64_t length);

/// A schema holding copies of children [0, last_column) of `schema`, a struct schema.
OwnedSchema FirstColumns(const ArrowSchema& schema, int64_t last_column);

/// Bytes of values that `array` of type `schema` holds, from its lengths and offsets; buffers shared with rows outside
/// the array are not counted. Dictionaries count whole.
int64_t ArrayBytes(const ArrowSchema& schema, const ArrowArray& array);

}  // namespace leman
