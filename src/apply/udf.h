// Ports of the applier: the user's function, and putting its results beside values that stay.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "model/arrow_c_data.h"
#include "model/task_outcome.h"

namespace leman {

/// One byte a row: 0 = not selected.
using RowMask = std::vector<uint8_t>;

class Udf {
 public:
  virtual ~Udf() = default;
  /// Applies the function to `inputs`, a struct array of its input columns. `selected` (null: all rows) marks the rows
  /// to compute; the others come out null. Returns an array of the output type with as many rows as `inputs`, whatever
  /// the function returned: a wrong length or type is an error. On kUserFunction, `*failed_row` is the row of the
  /// batch, or -1 where it is not known.
  virtual Result<OwnedArray> Apply(OwnedArray inputs, const RowMask* selected, int64_t* failed_row) = 0;
  /// The rows that the last Apply left null because they failed; `row` counts from the batch's first, the fragment is
  /// left open.
  virtual std::vector<SkippedRow> TakeSkipped() { return {}; }
  /// How many rows the last Apply left null without a call, since an argument that takes no null was null.
  virtual int64_t TakeNullInputs() { return 0; }
};

class ArrayMerger {
 public:
  virtual ~ArrayMerger() = default;
  /// Row by row: `computed` where selected, `carried` elsewhere. Both have the output type and selected.size() rows.
  virtual Result<OwnedArray> Merge(const RowMask& selected, OwnedArray computed, OwnedArray carried) = 0;
};

}  // namespace leman
