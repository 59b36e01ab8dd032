// libFuzzer entry point: the headers of images and files.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "image_header.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto header = leman::builtin::ReadImageHeader(bytes);
  if (header && (header->width <= 0 || header->height <= 0)) std::abort();
  return 0;
}
