// CPython's datetime C API without its per-file static pointer.
#pragma once

#ifndef PY_SSIZE_T_CLEAN
#define PY_SSIZE_T_CLEAN
#endif
#include <Python.h>
#include <datetime.h>

#include <cstdint>

namespace leman::python::scalar {

/// The API table (it lives as long as the interpreter); nullptr with a Python exception set. GIL held.
inline PyDateTime_CAPI* DateTimeApi() {
  return static_cast<PyDateTime_CAPI*>(PyCapsule_Import(PyDateTime_CAPSULE_NAME, 0));
}

constexpr int64_t kSecondsADay = 86'400;
constexpr int64_t kMicrosASecond = 1'000'000;

/// Rounds down, also below zero; `divisor` > 0.
constexpr int64_t FloorDiv(int64_t value, int64_t divisor) {
  const int64_t quotient = value / divisor;
  return value % divisor < 0 ? quotient - 1 : quotient;
}

}  // namespace leman::python::scalar
