#include "python_error.h"

#include <nanobind/stl/string.h>

#include "scalar/user_exception.h"

namespace leman::python {
namespace nb = nanobind;
namespace {

constexpr size_t kMaxTracebackBytes = 4000;

ErrorKind KindByName(const std::string& name, ErrorKind otherwise) {
  for (int i = 0; i <= static_cast<int>(ErrorKind::kInternal); ++i) {
    if (ErrorKindName(static_cast<ErrorKind>(i)) == name) return static_cast<ErrorKind>(i);
  }
  return otherwise;
}

// Frames between the engine and the user's function, which tell a user nothing.
bool IsOurs(const std::string& frame) {
  for (const char* file : {"/leman/batch_call.py", "/leman/async_call.py", "/leman/row_policy.py",
                           "/leman/blob_inputs.py", "/leman/blob_outputs.py", "/leman/lance_worker.py",
                           "/leman/user_function.py", "/asyncio/base_events.py", "/asyncio/events.py"}) {
    if (frame.find(file) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

Error ErrorOf(const nb::python_error& exception, ErrorKind kind) {
  const nb::handle value = exception.value();
  if (nb::hasattr(value, "leman_kind")) {
    return Error{KindByName(nb::cast<std::string>(value.attr("leman_kind")), kind), scalar::MessageOf(value.ptr())};
  }
  if (exception.matches(PyExc_KeyboardInterrupt)) return Error{ErrorKind::kCancelled, "KeyboardInterrupt"};
  if (exception.matches(PyExc_MemoryError)) return Error{ErrorKind::kResourceExhausted, "out of memory"};
  const auto type = nb::cast<std::string>(exception.type().attr("__name__"));
  return Error{kind, type + ": " + scalar::MessageOf(value.ptr()), type == "FunctionTimeoutError" ? type : ""};
}

Error UserErrorOf(nb::python_error& exception, const std::string& function_name) {
  Error error = ErrorOf(exception, ErrorKind::kUserFunction);
  if (nb::hasattr(exception.value(), "leman_kind")) return error;
  // In a worker nobody presses Ctrl-C: the function raised it, and a task that nobody cancelled must be told as failed.
  if (error.kind == ErrorKind::kCancelled) error = {ErrorKind::kUserFunction, "KeyboardInterrupt"};
  error.message = "function '" + function_name + "' raised " + error.message;
  try {
    const nb::object format = nb::module_::import_("traceback").attr("format_tb");
    std::string frames;
    for (const nb::handle frame : format(exception.traceback())) {
      const std::string text = scalar::TextOf(frame.ptr());
      if (!IsOurs(text)) frames += text;
    }
    while (frames.ends_with('\n')) frames.pop_back();
    if (!frames.empty()) error.message += "\n" + scalar::Bounded(frames, kMaxTracebackBytes);
  } catch (nb::python_error& second) {
    second.discard_as_unraisable("formatting a traceback");
  }
  return error;
}

}  // namespace leman::python
