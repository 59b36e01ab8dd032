// Calls a scalar Python function on every row of an Arrow batch: vectorcall, straight from and to Arrow buffers.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/arrow_c_data.h"
#include "scalar/argument_form.h"
#include "scalar/arrow_type.h"
#include "scalar/py_ref.h"
#include "scalar/user_exception.h"

namespace leman::python {

/// What to do about a row that failed.
enum class RowAction {
  kFail,   ///< Give the batch up.
  kNull,   ///< The row's result is null; go on with the next.
  kRetry,  ///< Call the function on the row again.
};

/// Decides about a failed row. Called with the GIL held, which it may release meanwhile (to wait before a retry).
using RowFailureHandler = std::function<RowAction(int64_t row, const Error& error, const UserException& exception)>;

/// What the last Call did.
struct CallCounts {
  int64_t calls = 0;        ///< Calls of the function, retries included.
  int64_t null_inputs = 0;  ///< Rows not called because an argument that takes no None was null.
  int64_t failed_rows = 0;  ///< Rows that the handler made null.
};

/// Told of every call of the function, with the GIL held.
class CallBracket {
 public:
  virtual ~CallBracket() = default;
  virtual void BeginRow(int64_t row) = 0;
  /// May put another exception in the place of the pending one.
  virtual void EndRow() = 0;
};

/// Calls `callable` once a row. Made, called and destroyed with the GIL held, by one thread at a time.
///
/// Inputs: the Python objects that pyarrow's to_pylist() gives. Outputs: what the declared type takes, None is null,
/// numpy's scalars are taken as Python's; a value that does not fit is refused, never rounded or cut (but floats are
/// narrowed to the declared width, and times to the declared unit). The null flags of the declared type are not
/// checked.
class ScalarCaller {
 public:
  /// input_schema: an Arrow struct of the inputs, children in argument order. output_schema: the declared output field.
  /// skip_null[i]: the argument takes no None, so a row where it is null yields null without a call; empty: none.
  /// forms[i]: how the argument is given; empty: all plain. The schemas are not kept.
  static Result<std::unique_ptr<ScalarCaller>> Make(PyObject* callable, const ArrowSchema& input_schema,
                                                    const ArrowSchema& output_schema, std::vector<bool> skip_null,
                                                    std::vector<ArgumentForm> forms = {});

  /// inputs: a struct array (a record batch) of n rows without nulls of its own; it and its children may be sliced.
  /// selected: nullptr for all rows, or n bytes, 0 = do not call, the result is null.
  /// Returns an array of n rows of the output type; its release needs no GIL.
  ///
  /// An Error of kind kUserFunction is an exception of the function, a value that does not fit, or an input that has no
  /// Python form; *failed_row is then its row, last_exception() tells more, and `on_failure`, if any, chose kFail.
  /// kCancelled: KeyboardInterrupt. kResourceExhausted: no memory. *failed_row is -1 where no row is to blame.
  Result<OwnedArray> Call(const ArrowArray& inputs, const uint8_t* selected, int64_t* failed_row,
                          const RowFailureHandler& on_failure = nullptr);

  /// `bracket` outlives this; null: nobody is told.
  void set_bracket(CallBracket* bracket) { bracket_ = bracket; }
  /// The failure of the last Call (of the last failed row, with a handler); empty() when nothing failed.
  [[nodiscard]] const UserException& last_exception() const { return last_exception_; }
  [[nodiscard]] const CallCounts& last_counts() const { return counts_; }
  /// The function's name, as in the messages.
  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  class Pass;

  ScalarCaller() = default;

  scalar::PyRef callable_;
  CallBracket* bracket_ = nullptr;
  std::string name_;
  std::vector<scalar::ArrowType> inputs_;
  std::vector<bool> skip_null_;
  std::vector<ArgumentForm> forms_;
  scalar::ArrowType output_;
  UserException last_exception_;
  CallCounts counts_;
};

}  // namespace leman::python
