// libFuzzer entry point: images, decoded and hashed.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string_view>

#include "image_decode.h"
#include "image_scale.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using leman::builtin::DecodeImage;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    const auto colours = DecodeImage(bytes, {3, 1 << 20, 0});
    if (colours && colours->bytes.size() != size_t(colours->width) * size_t(colours->height) * 3) std::abort();
    const auto grey = DecodeImage(bytes, {1, 1 << 20, 2 * leman::builtin::kHashSide});
    if (grey) leman::builtin::PerceptualHash(*grey);
  } catch (const std::invalid_argument&) {
  } catch (const std::length_error&) {
  }
  return 0;
}
