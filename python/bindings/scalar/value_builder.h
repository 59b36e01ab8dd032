// Builders: Python values into the buffers of one Arrow array, the kind chosen once from the declared type.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "model/arrow_c_data.h"
#include "scalar/arrow_type.h"
#include "scalar/buffer.h"
#include "scalar/py_ref.h"

namespace leman::python::scalar {

/// Why a value does not fit. A builder that fails sets it, or leaves a Python exception pending, which then says why.
struct Refusal {
  PyObject* exception = nullptr;  ///< Borrowed: TypeError, ValueError, OverflowError; nullptr: nothing refused.
  std::string reason;
  PyRef refused;  ///< What Finish refused; the appending functions leave it empty.

  /// Sets both and returns false.
  bool Set(PyObject* exception_type, std::string why) {
    exception = exception_type;
    reason = std::move(why);
    return false;
  }
  bool Type(std::string why) { return Set(PyExc_TypeError, std::move(why)); }
  bool Value(std::string why) { return Set(PyExc_ValueError, std::move(why)); }
  /// Turns a pending exception into the reason, but leaves a KeyboardInterrupt pending; returns false.
  bool FromPending(const char* what);
  /// Puts "<where> is <value> (<type>): " before the reason: where inside of a list or struct it is. Returns false.
  bool Inside(const std::string& where, PyObject* value);
};

/// Appends rows one by one. GIL held throughout. After a failed append the builder is to be truncated or dropped.
class ValueBuilder {
 public:
  ValueBuilder() = default;
  ValueBuilder(const ValueBuilder&) = delete;
  ValueBuilder& operator=(const ValueBuilder&) = delete;
  virtual ~ValueBuilder() = default;

  /// Room for `rows` more rows, as far as their size is known.
  virtual void Reserve(int64_t rows) = 0;
  /// Appends `value` (None is null); false: refused.
  virtual bool Append(PyObject* value, Refusal* why) = 0;
  virtual void AppendNull() = 0;
  /// Appends the items of a list or tuple.
  virtual bool AppendItems(PyObject* sequence, Refusal* why);
  /// Appends the elements of a buffer, if its layout is one that this builder takes: else *handled is false.
  virtual bool AppendBuffer(const Py_buffer& buffer, bool* handled, Refusal* why);
  /// Whether elements may come out of buffers at all.
  [[nodiscard]] virtual bool TakesBuffers() const { return false; }
  [[nodiscard]] virtual int64_t length() const = 0;
  /// Drops the rows from `length` on.
  virtual void Truncate(int64_t length) = 0;
  /// Puts another value in place of a row that Finish refused.
  virtual void Replace(int64_t row, PyObject* value);
  /// The array, or false; *bad_row is then the first row that is refused. Once it succeeded the builder is empty.
  virtual bool Finish(OwnedArray* out, int64_t* bad_row, Refusal* why) = 0;
};

using BuilderPtr = std::unique_ptr<ValueBuilder>;

/// The builder of `type`, which must outlive it.
BuilderPtr MakeBuilder(const ArrowType& type);
/// The builder of a list's elements or a struct's field: one whose Finish never refuses.
BuilderPtr MakeChildBuilder(const ArrowType& type);

// One factory a kind; MakeBuilder chooses.
BuilderPtr MakeNumberBuilder(const ArrowType& type);
BuilderPtr MakeBytesBuilder(const ArrowType& type);
BuilderPtr MakeTimeBuilder(const ArrowType& type);
BuilderPtr MakeListBuilder(const ArrowType& type);
BuilderPtr MakeStructBuilder(const ArrowType& type);
/// `checks_each`: converts every value once when it is appended, so that Finish refuses none; slower.
BuilderPtr MakePyarrowBuilder(const ArrowType& type, bool checks_each);

/// Whether a value that a builder refused says that there is none: pandas.NA, pandas.NaT.
bool IsMissing(PyObject* value);

/// "a generator", "a coroutine", … with what to do about it; empty for any other value.
std::string LazyResult(PyObject* value);

}  // namespace leman::python::scalar
