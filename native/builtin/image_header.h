// What the first bytes of an image say: its format and size. Nothing is decoded.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace leman::builtin {

struct ImageHeader {
  std::string_view format;  ///< png, jpeg, gif, webp or bmp
  int32_t width = 0;        ///< pixels
  int32_t height = 0;
};

/// Nothing where the bytes are none of these formats, or end before their size.
std::optional<ImageHeader> ReadImageHeader(std::string_view bytes);

/// A MIME type by the first bytes; empty where they are none of the known ones.
std::string_view MimeTypeOf(std::string_view bytes);

}  // namespace leman::builtin
