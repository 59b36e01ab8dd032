// IEEE 754 binary16 to and from double.
#pragma once

#include <cstdint>

namespace leman::python::scalar {

double HalfToDouble(uint16_t half);

/// Rounds to nearest, ties to even. A finite value that is too large becomes infinity.
uint16_t DoubleToHalf(double value);

}  // namespace leman::python::scalar
