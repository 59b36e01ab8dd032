// Python numbers into C ones: what is accepted, and what is refused with which words.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>

#include "scalar/half_float.h"
#include "scalar/value_builder.h"

namespace leman::python::scalar {

/// A binary16 value: a type of its own, so that it is not an integer.
struct Half {
  uint16_t bits;
};

template <typename T>
std::string RangeReason(const ArrowType& type) {
  return "out of range for " + type.text + " (" + std::to_string(std::numeric_limits<T>::min()) + " to " +
         std::to_string(std::numeric_limits<T>::max()) + ")";
}

/// The words for a value of another Python type.
bool RefuseNumber(PyObject* value, const ArrowType& type, Refusal* why);

/// A number too large for a float type; infinities themselves are accepted.
bool RefuseFloatRange(const ArrowType& type, Refusal* why);

/// Integers: int, bool, and whatever has __index__ (numpy integers); never a float.
template <typename T>
bool UnboxInteger(PyObject* value, const ArrowType& type, T* out, Refusal* why) {
  if (!PyLong_Check(value)) {
    if (!PyIndex_Check(value)) return RefuseNumber(value, type, why);
    const PyRef index = PyRef::Steal(PyNumber_Index(value));
    if (!index) return PyErr_Clear(), RefuseNumber(value, type, why);
    return UnboxInteger<T>(index.get(), type, out, why);
  }
  if constexpr (std::is_same_v<T, uint64_t>) {
    const unsigned long long wide = PyLong_AsUnsignedLongLong(value);
    if (wide == std::numeric_limits<unsigned long long>::max() && PyErr_Occurred() != nullptr) {
      PyErr_Clear();
      return why->Set(PyExc_OverflowError, RangeReason<T>(type));
    }
    *out = wide;
  } else {
    int overflow = 0;
    const long long wide = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow != 0 || wide < static_cast<long long>(std::numeric_limits<T>::min()) ||
        wide > static_cast<long long>(std::numeric_limits<T>::max())) {
      return why->Set(PyExc_OverflowError, RangeReason<T>(type));
    }
    *out = static_cast<T>(wide);
  }
  return true;
}

/// A double from float, int, bool, and whatever has __float__ or __index__ (numpy scalars), except text and arrays.
bool UnboxDouble(PyObject* value, const ArrowType& type, double* out, Refusal* why);

/// Narrows to the float type, refusing finite values that would become infinite.
inline bool NarrowDouble(double wide, const ArrowType& type, float* out, Refusal* why) {
  *out = static_cast<float>(wide);
  return std::isinf(*out) && !std::isinf(wide) ? RefuseFloatRange(type, why) : true;
}
inline bool NarrowDouble(double wide, const ArrowType&, double* out, Refusal*) {
  *out = wide;
  return true;
}
inline bool NarrowDouble(double wide, const ArrowType& type, Half* out, Refusal* why) {
  out->bits = DoubleToHalf(wide);
  return (out->bits & 0x7FFF) == 0x7C00 && !std::isinf(wide) ? RefuseFloatRange(type, why) : true;
}

/// True and False, and numpy's; no integers.
bool UnboxBool(PyObject* value, const ArrowType& type, bool* out, Refusal* why);

}  // namespace leman::python::scalar
