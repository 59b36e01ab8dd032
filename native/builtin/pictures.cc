// Built-in functions that decode images.
#include <leman/udf.h>

#include <optional>
#include <string>

#include "image_decode.h"
#include "image_scale.h"
#include "parameters.h"

namespace leman::builtin {
namespace {

constexpr int64_t kMaxPixels = 100'000'000;  // Some 300 MB of colours.
constexpr int64_t kLargestMaxPixels = 2'000'000'000;

int64_t MaxPixelsOf(const Parameters& parameters) {
  return parameters.Integer("max_pixels", kMaxPixels, 1, kLargestMaxPixels);
}

class Hash {
 public:
  static void CheckParameters(std::string_view json) { Hash{json}; }
  explicit Hash(std::string_view json) : max_pixels_(MaxPixelsOf(Parameters(json, {"max_pixels"}))) {}
  std::optional<uint64_t> operator()(udf::Bytes image) const {
    const auto grey = DecodeImage(image.data, {1, max_pixels_, 2 * kHashSide});
    if (!grey) return std::nullopt;
    return PerceptualHash(*grey);
  }

 private:
  int64_t max_pixels_;
};

class Resized {
 public:
  static void CheckParameters(std::string_view json) { Resized{json}; }
  explicit Resized(std::string_view json) : Resized(Parameters(json, {"width", "height", "max_pixels"})) {}
  std::optional<udf::OwnedBytes> operator()(udf::Bytes image) const {
    const auto pixels = DecodeImage(image.data, {3, max_pixels_, 2 * std::max(width_, height_)});
    if (!pixels) return std::nullopt;
    const Pixels scaled = Scale(*pixels, width_, height_);
    return udf::OwnedBytes{std::string(scaled.bytes.begin(), scaled.bytes.end())};
  }

 private:
  explicit Resized(const Parameters& parameters)
      : width_(Side(parameters, "width")), height_(Side(parameters, "height")), max_pixels_(MaxPixelsOf(parameters)) {}
  static int32_t Side(const Parameters& parameters, const char* name) {
    return static_cast<int32_t>(parameters.Integer(name, 224, 1, 8192));
  }

  int32_t width_;
  int32_t height_;
  int64_t max_pixels_;
};

}  // namespace
}  // namespace leman::builtin

LEMAN_UDF_CLASS(perceptual_hash, leman::builtin::Hash, image);
LEMAN_UDF_CLASS(resized_pixels, leman::builtin::Resized, image);
