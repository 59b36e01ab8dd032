#include "python_call.h"

#include <nanobind/stl/string.h>

#include <array>
#include <string_view>

namespace leman::host {
namespace nb = nanobind;
namespace {

struct KindOfClass {
  std::string_view name;
  ErrorKind kind;
};

// By the first class of the exception's resolution order that is here.
constexpr std::array<KindOfClass, 18> kKinds{{
    {"TableNotFoundError", ErrorKind::kNotFound},
    {"ColumnNotFoundError", ErrorKind::kNotFound},
    {"JobNotFoundError", ErrorKind::kNotFound},
    {"FileNotFoundError", ErrorKind::kNotFound},
    {"ColumnBusyError", ErrorKind::kBusy},
    {"ConflictError", ErrorKind::kConflict},
    {"JobCancelledError", ErrorKind::kCancelled},
    {"JobTimeoutError", ErrorKind::kCancelled},
    {"KeyboardInterrupt", ErrorKind::kCancelled},
    {"UserFunctionError", ErrorKind::kFunctionFailed},
    {"WorkerCrashError", ErrorKind::kFunctionFailed},
    {"CorruptDataError", ErrorKind::kCorrupt},
    {"JobFailedError", ErrorKind::kJobFailed},
    {"UntrustedFunctionError", ErrorKind::kUntrusted},
    {"ImportError", ErrorKind::kEnvironment},
    {"OSError", ErrorKind::kStorage},
    {"TypeError", ErrorKind::kInvalidArgument},
    {"ValueError", ErrorKind::kInvalidArgument},
}};

ErrorKind KindOf(const nb::handle& type) {
  for (const nb::handle entry : nb::borrow<nb::tuple>(type.attr("__mro__"))) {
    const auto name = nb::cast<std::string>(entry.attr("__name__"));
    for (const KindOfClass& known : kKinds) {
      if (name == known.name) return known.kind;
    }
  }
  return ErrorKind::kInternal;
}

}  // namespace

Error ErrorOf(const nb::python_error& exception) {
  Error error;
  try {
    error.kind = KindOf(exception.type());
    error.type = nb::cast<std::string>(exception.type().attr("__name__"));
    error.message = nb::cast<std::string>(nb::str(exception.value()));
    if (error.message.empty()) error.message = error.type;
    if (nb::hasattr(exception.value(), "job_id")) {
      error.job_id = nb::cast<std::string>(nb::str(exception.value().attr("job_id")));
    }
  } catch (nb::python_error& second) {
    second.discard_as_unraisable("telling of an exception");
    error.message = "an exception that cannot be printed";
  }
  return error;
}

}  // namespace leman::host
