// Images as pixels: PNG, JPEG and WebP, decoded by libpng, libjpeg-turbo and libwebp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace leman::builtin {

/// Rows of pixels from the top, without gaps; 1 (grey) or 3 (red, green, blue) bytes a pixel.
struct Pixels {
  int32_t width = 0;
  int32_t height = 0;
  int32_t channels = 0;
  std::vector<uint8_t> bytes;
};

struct DecodeRequest {
  int32_t channels = 3;
  int64_t max_pixels = 0;  ///< of the image as its header says; larger ones are refused before memory is taken
  /// A JPEG may be decoded smaller, at an eighth to all of its size, as long as both sides stay at least this; 0:
  /// whole.
  int32_t least_side = 0;
};

/// Transparent parts lie on white. Nothing where the bytes are of none of these formats. Throws std::invalid_argument
/// where they are, but are broken, and std::length_error where they have too many pixels.
std::optional<Pixels> DecodeImage(std::string_view bytes, const DecodeRequest& request);

}  // namespace leman::builtin
