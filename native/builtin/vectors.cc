// Built-in functions on vectors: lists of float32.
#include <leman/udf.h>

#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "parameters.h"

namespace leman::builtin {
namespace {

// Eight sums, so that the compiler may use vector registers without reordering one sum.
float DotOf(const float* a, const float* b, size_t size) {
  std::array<float, 8> sums{};
  size_t i = 0;
  for (; i + 8 <= size; i += 8) {
    for (size_t j = 0; j < 8; ++j) sums[j] += a[i + j] * b[i + j];
  }
  float sum = 0;
  for (const float one : sums) sum += one;
  for (; i < size; ++i) sum += a[i] * b[i];
  return sum;
}

class Dot {
 public:
  static void CheckParameters(std::string_view json) { Dot{json}; }
  explicit Dot(std::string_view json) : with_(Parameters(json, {"vector_b"}).Floats("vector_b")) {}
  float operator()(std::span<const float> vector) const {
    if (vector.size() != with_.size()) {
      throw std::invalid_argument("a vector of " + std::to_string(vector.size()) + " values; vector_b has " +
                                  std::to_string(with_.size()));
    }
    return DotOf(vector.data(), with_.data(), with_.size());
  }

 private:
  std::vector<float> with_;
};

}  // namespace
}  // namespace leman::builtin

LEMAN_UDF(l2_norm, [](std::span<const float> vector) -> float {
  return std::sqrt(leman::builtin::DotOf(vector.data(), vector.data(), vector.size()));
});
LEMAN_UDF(l2_normalize, [](std::span<const float> vector) -> std::optional<std::vector<float>> {
  const float norm = std::sqrt(leman::builtin::DotOf(vector.data(), vector.data(), vector.size()));
  if (!(norm > 0) || !std::isfinite(norm)) return std::nullopt;
  std::vector<float> unit(vector.begin(), vector.end());
  for (float& value : unit) value /= norm;
  return unit;
});
LEMAN_UDF(quantize_int8, [](std::span<const float> vector) -> std::vector<int8_t> {
  std::vector<int8_t> small;
  small.reserve(vector.size());
  for (const float value : vector) {
    if (std::isnan(value)) throw std::invalid_argument("a vector with NaN inside");
    small.push_back(static_cast<int8_t>(std::lrint(std::fmin(std::fmax(value, -1.0F), 1.0F) * 127.0F)));
  }
  return small;
});
LEMAN_UDF_CLASS(dot, leman::builtin::Dot, vector);
