// Code points of UTF-8 text; bytes that are no UTF-8 count as one code point each (U+FFFD).
#pragma once

#include <cstdint>
#include <string_view>

namespace leman::builtin {

/// The code point at `*at`, which is moved past it; `*at` < text.size().
inline uint32_t NextCodePoint(std::string_view text, size_t* at) {
  const auto lead = static_cast<uint8_t>(text[*at]);
  ++*at;
  if (lead < 0x80) return lead;
  const int more = lead >= 0xF0 && lead < 0xF5   ? 3
                   : lead >= 0xE0 && lead < 0xF0 ? 2
                   : lead >= 0xC2 && lead < 0xE0 ? 1
                                                 : 0;
  if (more == 0 || *at + static_cast<size_t>(more) > text.size()) return 0xFFFD;
  uint32_t value = lead & (0x3FU >> more);
  for (int i = 0; i < more; ++i) {
    const auto next = static_cast<uint8_t>(text[*at + static_cast<size_t>(i)]);
    if ((next & 0xC0) != 0x80) return 0xFFFD;
    value = value << 6 | (next & 0x3FU);
  }
  if (value < (more == 3 ? 0x10000U : more == 2 ? 0x800U : 0x80U)) return 0xFFFD;  // longer than it has to be
  *at += static_cast<size_t>(more);
  return value;
}

constexpr bool IsSpace(uint32_t c) {
  return c == ' ' || (c >= 0x09 && c <= 0x0D) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

/// Scripts that are written without spaces between words: each code point is a token of its own.
inline bool IsIdeograph(uint32_t c) {
  return (c >= 0x3040 && c <= 0x30FF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x4E00 && c <= 0x9FFF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x20000 && c <= 0x3FFFF);
}

/// Letters and digits, as far as whole blocks tell: ASCII ones, and what is neither space, punctuation nor symbol
/// above.
inline bool IsWordPart(uint32_t c) {
  if (c < 0x80) return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
  if (c < 0xC0) return c == 0xAA || c == 0xB5 || c == 0xBA;
  if (c == 0xD7 || c == 0xF7 || c == 0xFFFD) return false;
  return !IsSpace(c) && !(c >= 0x2000 && c <= 0x2BFF) && !(c >= 0x3000 && c <= 0x303F) &&
         !(c >= 0xFE10 && c <= 0xFE6F) && !(c >= 0xFF00 && c <= 0xFF0F) && !(c >= 0x1F000 && c <= 0x1FAFF);
}

}  // namespace leman::builtin
