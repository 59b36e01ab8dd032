#include "image_scale.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
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
    window.weights.reserve(static_cast<size_t>(std::max(0, end - first)));
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

// What is summed up at once: the colours of a pixel, or a grey of four rows. Each lane is a sum of its own, in the
// order of the pixels, so that results do not depend on how many there are.
using Lanes = float __attribute__((vector_size(16)));
constexpr size_t kLanes = 4;

// Rows of the source as floats, one after the other for each pixel.
class SourceRows {
 public:
  explicit SourceRows(const Pixels& from)
      : from_(from),
        width_(static_cast<size_t>(from.width)),
        channels_(static_cast<size_t>(from.channels)),
        rows_at_once_(channels_ == 1 ? kLanes : 1),
        values_(width_ * (channels_ == 1 ? kLanes : channels_) + kLanes, 0.0F) {}  // lanes may read behind the last

  [[nodiscard]] int32_t rows_at_once() const { return static_cast<int32_t>(rows_at_once_); }

  // `rows_at_once` rows from `y` on, or those that are left, as wide as the result.
  void Scale(int32_t y, const std::vector<Window>& windows, Lanes* out) {
    Read(y);
    const size_t stride = channels_ == 1 ? kLanes : channels_;
    for (const Window& window : windows) {
      const float* at = values_.data() + static_cast<size_t>(window.first) * stride;
      Lanes sum{};
      for (const float weight : window.weights) {
        Lanes lanes;
        std::memcpy(&lanes, at, sizeof lanes);
        sum += weight * lanes;
        at += stride;
      }
      *out++ = sum;
    }
  }

 private:
  void Read(int32_t y) {
    const uint8_t* row = from_.bytes.data() + static_cast<size_t>(y) * width_ * channels_;
    if (channels_ != 1) {
      std::copy_n(row, width_ * channels_, values_.begin());
      return;
    }
    const auto left = static_cast<size_t>(from_.height - y);
    for (size_t lane = 0; lane < std::min(left, kLanes); ++lane, row += width_) {
      for (size_t x = 0; x < width_; ++x) values_[x * kLanes + lane] = row[x];
    }
  }

  const Pixels& from_;
  size_t width_;
  size_t channels_;
  size_t rows_at_once_;
  std::vector<float> values_;
};

// The rows of the result, each a weighted sum of scaled rows of the source, which come in order.
class ResultRows {
 public:
  ResultRows(int32_t from_height, int32_t height, size_t line)
      : down_(WindowsOf(from_height, height)), line_(line), sums_(line * down_.size(), 0.0F) {}

  void Add(int32_t y, const float* scaled) {
    while (begin_ < down_.size() && EndOf(down_[begin_]) <= y) ++begin_;
    for (size_t i = begin_; i < down_.size() && down_[i].first <= y; ++i) {
      if (EndOf(down_[i]) <= y) continue;
      const float weight = down_[i].weights[static_cast<size_t>(y - down_[i].first)];
      float* const sum = sums_.data() + i * line_;
      for (size_t x = 0; x < line_; ++x) sum[x] += weight * scaled[x];
    }
  }
  [[nodiscard]] const std::vector<float>& sums() const { return sums_; }

 private:
  static int32_t EndOf(const Window& window) { return window.first + static_cast<int32_t>(window.weights.size()); }

  std::vector<Window> down_;
  size_t line_;
  std::vector<float> sums_;
  size_t begin_ = 0;  // the first row that is not complete
};

}  // namespace

Pixels Scale(const Pixels& from, int32_t width, int32_t height) {
  const auto channels = static_cast<size_t>(from.channels);
  const auto wide = static_cast<size_t>(width);
  const std::vector<Window> across = WindowsOf(from.width, width);
  SourceRows source(from);
  std::vector<Lanes> scaled(wide);
  const auto* const values = reinterpret_cast<const float*>(scaled.data());
  Pixels to{width, height, from.channels, {}};
  to.bytes.resize(wide * channels * static_cast<size_t>(height));
  if (channels != 1) {
    ResultRows rows(from.height, height, wide * kLanes);
    for (int32_t y = 0; y < from.height; ++y) {
      source.Scale(y, across, scaled.data());
      rows.Add(y, values);
    }
    for (size_t i = 0; i < to.bytes.size(); ++i) {
      to.bytes[i] = Rounded(rows.sums()[i / channels * kLanes + i % channels]);
    }
    return to;
  }
  ResultRows rows(from.height, height, wide);
  std::vector<float> row(wide);
  for (int32_t y = 0; y < from.height; y += source.rows_at_once()) {
    source.Scale(y, across, scaled.data());
    for (int32_t lane = 0; lane < std::min(source.rows_at_once(), from.height - y); ++lane) {
      for (size_t x = 0; x < wide; ++x) row[x] = values[x * kLanes + static_cast<size_t>(lane)];
      rows.Add(y + lane, row.data());
    }
  }
  std::transform(rows.sums().begin(), rows.sums().end(), to.bytes.begin(), Rounded);
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
  // Loops whose inner one runs over sums that do not depend on each other.
  std::array<std::array<double, kSide>, kKept> columns{};  // of each frequency down, the sums of each column
  for (size_t y = 0; y < kSide; ++y) {
    std::array<double, kSide> greys;
    std::copy_n(small.bytes.begin() + static_cast<ptrdiff_t>(y * kSide), kSide, greys.begin());
    for (size_t f = 0; f < kKept; ++f) {
      for (size_t x = 0; x < kSide; ++x) columns[f][x] += cosines[f][y] * greys[x];
    }
  }
  std::array<double, kKept * kKept> strengths{};
  for (size_t x = 0; x < kSide; ++x) {
    std::array<double, kKept> across;
    for (size_t g = 0; g < kKept; ++g) across[g] = cosines[g][x];
    for (size_t f = 0; f < kKept; ++f) {
      for (size_t g = 0; g < kKept; ++g) strengths[f * kKept + g] += across[g] * columns[f][x];
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
