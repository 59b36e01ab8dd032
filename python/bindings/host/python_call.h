// Calls into Python whose exceptions become errors of the C++ API.
#pragma once

#include <nanobind/nanobind.h>
#include <unistd.h>

#include <new>
#include <string>
#include <utility>

#include "exit_functions.h"
#include "leman/result.h"

namespace leman::host {

/// The error that a Python exception is: its kind by its class, its text as it is. Needs the GIL.
[[nodiscard]] Error ErrorOf(const nanobind::python_error& exception);

/// A call may load libraries.
struct ExitGuard {
  ~ExitGuard() { RunBeforeExit(); }
};

/// Runs `body` with the GIL. Threads that Python has not seen before are welcome.
template <typename Body>
auto WithPython(const Body& body) -> Result<decltype(body())> {
  const nanobind::gil_scoped_acquire gil;
  const ExitGuard exit_functions;
  try {
    return body();
  } catch (const nanobind::python_error& exception) {
    return ErrorOf(exception);
  } catch (const nanobind::cast_error&) {
    return Error{ErrorKind::kInternal, "TypeError", "a value was not of the type that the C++ API expects", {}};
  } catch (const std::exception& exception) {
    return Error{ErrorKind::kInternal, "RuntimeError", exception.what(), {}};
  }
}

/// An object whose last reference may go in any thread, also after the interpreter ended, and in a forked process,
/// where nobody may hold the GIL ever again.
class SharedObject {
 public:
  explicit SharedObject(nanobind::object object) : object_(object.release()) {}
  ~SharedObject() {
    if (Py_IsInitialized() == 0 || ::getpid() != owner_) return;
    const nanobind::gil_scoped_acquire gil;
    object_.dec_ref();
  }
  SharedObject(const SharedObject&) = delete;
  SharedObject& operator=(const SharedObject&) = delete;

  /// Needs the GIL.
  [[nodiscard]] nanobind::handle get() const { return object_; }

 private:
  nanobind::handle object_;
  pid_t owner_ = ::getpid();
};

}  // namespace leman::host
