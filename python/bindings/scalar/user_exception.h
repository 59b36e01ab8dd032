// A Python exception as a value: what it says, where it arose, and the object itself.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "scalar/py_ref.h"

namespace leman::python {

/// What failed a row. `object` is never released without the GIL: the owner's destructor needs it.
struct UserException {
  std::string type_name;  ///< Qualified, without "builtins.": "ValueError", "requests.exceptions.HTTPError".
  std::string message;    ///< str() of the exception, bounded.
  std::string traceback;  ///< The user's frames and the final line, bounded; empty for a refused value.
  scalar::PyRef object;   ///< The exception, its traceback removed so that it keeps no frame's locals alive.

  [[nodiscard]] bool empty() const { return !object; }
};

namespace scalar {

/// Takes the pending Python exception (there must be one) and clears it.
UserException TakeException();

/// str(exception), bounded, lone surrogates escaped; says so where there is none. Clears what str() raises.
std::string MessageOf(PyObject* exception);

/// A str as UTF-8, lone surrogates escaped: texts of users hold anything.
std::string TextOf(PyObject* str);

/// The pending Python exception as an Error of `kind`, "context: Type: message"; clears it.
Error PythonFailure(std::string_view context, ErrorKind kind = ErrorKind::kInvalidArgument);

/// repr(value), at most 200 characters, never failing; leaves a pending exception as it is.
std::string BoundedRepr(PyObject* value);

/// "int", "numpy.float32": the qualified name of a type without "builtins.".
std::string TypeName(PyTypeObject* type);

/// `text` cut to `limit` bytes at a character's boundary, "…" appended when something was cut.
std::string Bounded(std::string_view text, size_t limit);

}  // namespace scalar
}  // namespace leman::python
