// Built-in functions on texts of any script, by utf8proc's tables.
#include <leman/udf.h>
#include <utf8proc.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "parameters.h"
#include "text_scan.h"

namespace leman::builtin {
namespace {

// The text with each code point's simple lower case; `out` has room for twice the text. No such mapping makes a code
// point of two bytes or more longer than four.
size_t LowerUnicode(std::string_view text, char* out) {
  const auto* from = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  auto* to = reinterpret_cast<utf8proc_uint8_t*>(out);
  size_t size = 0;
  for (size_t at = 0; at < text.size();) {
    utf8proc_int32_t c = 0;
    const utf8proc_ssize_t taken = utf8proc_iterate(from + at, static_cast<utf8proc_ssize_t>(text.size() - at), &c);
    if (taken <= 0) {  // no UTF-8: the byte stays
      to[size++] = from[at++];
      continue;
    }
    at += static_cast<size_t>(taken);
    const bool upper = c < 0x80 ? c >= 'A' && c <= 'Z' : true;
    size += static_cast<size_t>(utf8proc_encode_char(upper ? utf8proc_tolower(c) : c, to + size));
  }
  return size;
}

class NormalizeUnicode {
 public:
  static void CheckParameters(std::string_view json) { NormalizeUnicode{json}; }
  explicit NormalizeUnicode(std::string_view json)
      : options_(OptionsOf(Parameters(json, {"form"}).Choice("form", {"NFC", "NFD", "NFKC", "NFKD"}))) {}

  std::string operator()(std::string_view text) const {
    if (IsAsciiText(text)) return std::string(text);  // the same in every form
    utf8proc_uint8_t* made = nullptr;
    const utf8proc_ssize_t size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                               static_cast<utf8proc_ssize_t>(text.size()), &made, options_);
    const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owned(made, &std::free);
    if (size == UTF8PROC_ERROR_NOMEM) throw std::bad_alloc();
    if (size < 0) throw std::invalid_argument(utf8proc_errmsg(size));
    return {reinterpret_cast<const char*>(made), static_cast<size_t>(size)};
  }

 private:
  static utf8proc_option_t OptionsOf(const std::string& form) {
    int options = UTF8PROC_STABLE | (form.ends_with("C") ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE);
    if (form.find('K') != std::string::npos) options |= UTF8PROC_COMPAT;
    return static_cast<utf8proc_option_t>(options);
  }

  utf8proc_option_t options_;
};

}  // namespace
}  // namespace leman::builtin

LEMAN_UDF(lower, [](std::string_view text) {
  const bool ascii = leman::builtin::IsAsciiText(text);
  return leman::udf::Written{ascii ? text.size() : 2 * text.size(), [text, ascii](char* out) -> size_t {
                               if (!ascii) return leman::builtin::LowerUnicode(text, out);
                               leman::builtin::LowerAscii(text, out);
                               return text.size();
                             }};
});
LEMAN_UDF_CLASS(normalize_unicode, leman::builtin::NormalizeUnicode, text);
