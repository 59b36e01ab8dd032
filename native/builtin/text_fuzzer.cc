// libFuzzer entry point: texts of any bytes, scanned in blocks and code point by code point.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "text_scan.h"
#include "utf8.h"

namespace {

using leman::builtin::NextCodePoint;

// The words of `text`, one blank between them, and how many.
std::string Plainly(std::string_view text, int64_t* words) {
  std::string joined;
  bool inside = false;
  *words = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t here = at;
    const uint32_t c = NextCodePoint(text, &at);
    const bool space = leman::builtin::IsSpace(c) || (c >= 0x1C && c <= 0x1F);
    if (!space && !inside) {
      if (++*words > 1) joined += ' ';
    }
    if (!space) joined += text.substr(here, at - here);
    inside = !space;
  }
  return joined;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  int64_t words = 0;
  const std::string plain = Plainly(text, &words);
  if (leman::builtin::CountWords(text) != words) std::abort();
  std::string out(size, '\0');
  out.resize(leman::builtin::NormalizeSpace(text, out.data()));
  if (out != plain) std::abort();
  int64_t chars = 0;
  bool ascii = true;
  for (const char c : text) {
    chars += (static_cast<uint8_t>(c) & 0xC0) != 0x80 ? 1 : 0;
    ascii = ascii && static_cast<uint8_t>(c) < 0x80;
  }
  if (leman::builtin::CountChars(text) != chars || leman::builtin::IsAsciiText(text) != ascii) std::abort();
  std::string lower(size, '\0');
  leman::builtin::LowerAscii(text, lower.data());
  for (size_t i = 0; i < size; ++i) {
    if (lower[i] != (text[i] >= 'A' && text[i] <= 'Z' ? text[i] + 0x20 : text[i])) std::abort();
  }
  return 0;
}
