// Readers: a column of an Arrow batch as Python objects, one reader a column, its kind chosen once.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>

#include "base/result.h"
#include "model/arrow_layout.h"
#include "scalar/argument_form.h"
#include "scalar/arrow_type.h"
#include "scalar/py_ref.h"

namespace leman::python::scalar {

/// The value at `data[index]`; buffers need not be aligned.
template <typename T>
inline T LoadAt(const void* data, int64_t index) {
  T value;
  std::memcpy(&value, static_cast<const char*>(data) + index * static_cast<int64_t>(sizeof(T)), sizeof(T));
  return value;
}

/// Reads rows of one array, which is borrowed and must outlive the reader. GIL held throughout.
class ValueReader {
 public:
  /// Row 0 of the reader is row `skip` of `array` (its own offset is added).
  ValueReader(const ArrowArray& array, int64_t skip)
      : validity_(array.null_count == 0 || array.n_buffers == 0 ? nullptr : array.buffers[0]),
        offset_(array.offset + skip) {}
  ValueReader(const ValueReader&) = delete;
  ValueReader& operator=(const ValueReader&) = delete;
  virtual ~ValueReader() = default;

  /// A new reference to the row's value, None where it is null; nullptr with a Python exception set.
  virtual PyObject* Read(int64_t row) const = 0;

  /// New references to `count` values into `out`; on failure false, those read so far are in `out`.
  virtual bool ReadMany(int64_t row, int64_t count, PyObject** out) const {
    for (int64_t i = 0; i < count; ++i) {
      out[i] = Read(row + i);
      if (out[i] == nullptr) return false;
    }
    return true;
  }

  [[nodiscard]] bool IsNull(int64_t row) const { return validity_ != nullptr && !BitAt(validity_, offset_ + row); }
  [[nodiscard]] bool AnyNull(int64_t row, int64_t count) const {
    if (validity_ == nullptr) return false;
    for (int64_t i = 0; i < count; ++i) {
      if (IsNull(row + i)) return true;
    }
    return false;
  }
  /// The position in the buffers of a row.
  [[nodiscard]] int64_t At(int64_t row) const { return offset_ + row; }

 private:
  const void* validity_;
  int64_t offset_;
};

using ReaderPtr = std::unique_ptr<ValueReader>;

/// The reader of `array`, of `length` rows from `skip` on. `type` must outlive it.
Result<ReaderPtr> MakeReader(const ArrowType& type, ArgumentForm form, const ArrowArray& array, int64_t skip,
                             int64_t length);

// One factory a kind; MakeReader chooses.
ReaderPtr MakeNumberReader(const ArrowType& type, const ArrowArray& array, int64_t skip);
ReaderPtr MakeBytesReader(const ArrowType& type, const ArrowArray& array, int64_t skip);
ReaderPtr MakeTimeReader(const ArrowType& type, const ArrowArray& array, int64_t skip);
Result<ReaderPtr> MakeListReader(const ArrowType& type, ArgumentForm form, const ArrowArray& array, int64_t skip);
Result<ReaderPtr> MakeStructReader(const ArrowType& type, const ArrowArray& array, int64_t skip, int64_t length);
Result<ReaderPtr> MakePyarrowReader(const ArrowType& type, const ArrowArray& array, int64_t skip, int64_t length);

}  // namespace leman::python::scalar
