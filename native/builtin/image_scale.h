// Images in another size, and what tells two of them apart.
#pragma once

#include <cstdint>

#include "image_decode.h"

namespace leman::builtin {

/// `width` × `height` pixels: each is the mean of those it covers, weighted by a triangle (PIL's BILINEAR).
Pixels Scale(const Pixels& from, int32_t width, int32_t height);

/// The perceptual hash pHash: of 32 × 32 grey values, the 8 × 8 lowest frequencies of the discrete cosine transform, a
/// bit each that is set where one is above their median; the lowest frequency is the highest bit, row by row.
uint64_t PerceptualHash(const Pixels& grey);

constexpr int32_t kHashSide = 32;

}  // namespace leman::builtin
