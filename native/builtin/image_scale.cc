#include "image_scale.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace leman::builtin {
namespace {

// What one pixel of the result is made of: pixels from `first` on, with their weights, which add up to 1.
struct Window {
  int32_t first;
  std::vector<float> weights;
};

std::vector<Window> WindowsOf(int32_t from, int32_t to) {
  const double step = static_cast<double>(from) / to;
  const double reach = std::max(step, 1.0);  // of the triangle, to each side
  std::vector<Window> windows(static_cast<size_t>(to));
  for (int32_t i = 0; i < to; ++i) {
    const double center = (i + 0.5) * step;
    const auto first = std::max(0, static_cast<int32_t>(center - reach + 0.5));
    const auto end = std::min(from, static_cast<int32_t>(center + reach + 0.5));
    Window& window = windows[static_cast<size_t>(i)];
    window.first = first;
    double sum = 0;
    for (int32_t x = first; x < end; ++x) {
      const double weight = std::max(0.0, 1.0 - std::abs((x + 0.5 - center) / reach));
      window.weights.push_back(static_cast<float>(weight));
      sum += weight;
    }
    for (float& weight : window.weights) weight = static_cast<float>(weight / sum);
  }
  return windows;
}

uint8_t Rounded(float value) { return static_cast<uint8_t>(std::clamp(value + 0.5F, 0.0F, 255.0F)); }

// One row of the source, as wide as the result.
void ScaleRow(const uint8_t* row, size_t channels, const std::vector<Window>& windows, float* out) {
  for (const Window& window : windows) {
    for (size_t c = 0; c < channels; ++c) {
      float sum = 0;
      const uint8_t* at = row + static_cast<size_t>(window.first) * channels + c;
      for (const float weight : window.weights) {
        sum += weight * *at;
        at += channels;
      }
      *out++ = sum;
    }
  }
}

}  // namespace

Pixels Scale(const Pixels& from, int32_t width, int32_t height) {
  const auto channels = static_cast<size_t>(from.channels);
  const std::vector<Window> across = WindowsOf(from.width, width);
  const std::vector<Window> down = WindowsOf(from.height, height);
  const size_t line = static_cast<size_t>(width) * channels;
  // Each row of the source is scaled once, into the rows of the result that it is part of.
  Pixels to{width, height, from.channels, {}};
  to.bytes.resize(line * static_cast<size_t>(height));
  std::vector<float> sums(line * static_cast<size_t>(height), 0.0F);
  std::vector<float> scaled(line);
  size_t begin = 0;  // the first row of the result that is not complete
  for (int32_t y = 0; y < from.height; ++y) {
    ScaleRow(from.bytes.data() + static_cast<size_t>(y) * static_cast<size_t>(from.width) * channels, channels, across,
             scaled.data());
    while (begin < down.size() && down[begin].first + static_cast<int32_t>(down[begin].weights.size()) <= y) ++begin;
    for (size_t i = begin; i < down.size() && down[i].first <= y; ++i) {
      const auto index = static_cast<size_t>(y - down[i].first);
      if (index >= down[i].weights.size()) continue;
      const float weight = down[i].weights[index];
      float* const sum = sums.data() + i * line;
      for (size_t x = 0; x < line; ++x) sum[x] += weight * scaled[x];
    }
  }
  std::transform(sums.begin(), sums.end(), to.bytes.begin(), Rounded);
  return to;
}

uint64_t PerceptualHash(const Pixels& grey) {
  constexpr size_t kSide = kHashSide;
  constexpr size_t kKept = 8;
  const Pixels small = Scale(grey, kHashSide, kHashSide);
  static const auto cosines = [] {
    std::array<std::array<double, kSide>, kKept> table{};
    for (size_t f = 0; f < kKept; ++f) {
      for (size_t x = 0; x < kSide; ++x) table[f][x] = std::cos(std::numbers::pi * f * (2.0 * x + 1) / (2.0 * kSide));
    }
    return table;
  }();
  std::array<std::array<double, kSide>, kKept> columns{};  // of each frequency down, the sums of each column
  for (size_t f = 0; f < kKept; ++f) {
    for (size_t y = 0; y < kSide; ++y) {
      for (size_t x = 0; x < kSide; ++x) columns[f][x] += cosines[f][y] * small.bytes[y * kSide + x];
    }
  }
  std::array<double, kKept * kKept> strengths{};
  for (size_t f = 0; f < kKept; ++f) {
    for (size_t g = 0; g < kKept; ++g) {
      for (size_t x = 0; x < kSide; ++x) strengths[f * kKept + g] += cosines[g][x] * columns[f][x];
    }
  }
  std::array<double, kKept* kKept> sorted = strengths;
  std::sort(sorted.begin(), sorted.end());
  const double median = (sorted[31] + sorted[32]) / 2;
  uint64_t hash = 0;
  for (const double strength : strengths) hash = hash << 1 | (strength > median ? 1U : 0U);
  return hash;
}

}  // namespace leman::builtin
