// Built-in functions on texts of any script, by utf8proc's tables.
#include <leman/udf.h>
#include <utf8proc.h>

#include <stdexcept>
#include <string>
#include <vector>

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

// How many bytes of ASCII the text begins with.
size_t AsciiRun(std::string_view text) {
  size_t size = 0;
  while (size < text.size() && static_cast<uint8_t>(text[size]) < 0x80) ++size;
  return size;
}

class Lower {
 public:
  static void CheckParameters(std::string_view json) { udf::TakesNoParameters(json); }
  explicit Lower(std::string_view) {}

  auto operator()(std::string_view text) const {
    const bool ascii = IsAsciiText(text);
    return udf::Written{ascii ? text.size() : 2 * text.size(), [text, ascii](char* out) -> size_t {
                          if (!ascii) return LowerUnicode(text, out);
                          LowerAscii(text, out);
                          return text.size();
                        }};
  }
  template <typename Lowered>
  bool All(const udf::Column<std::string_view>& texts, Lowered& lowered) const {
    const std::string_view all = texts.views(0, texts.size());
    constexpr size_t kPiece = 4096;  // stays in the cache from the look at it to its copy
    char* const out = lowered.Reserve(all.size());
    for (size_t at = 0; at < all.size(); at += kPiece) {
      const std::string_view piece = all.substr(at, kPiece);
      if (!IsAsciiText(piece)) return false;
      LowerAscii(piece, out + at);
    }
    lowered.SetSizes(texts);
    return true;
  }
};

class NormalizeUnicode {
 public:
  static void CheckParameters(std::string_view json) { NormalizeUnicode{json}; }
  explicit NormalizeUnicode(std::string_view json)
      : options_(OptionsOf(Parameters(json, {"form"}).Choice("form", {"NFC", "NFD", "NFKC", "NFKD"}))) {}

  std::string operator()(std::string_view text) {
    std::string made;
    made.reserve(text.size());
    for (size_t at = 0; at < text.size();) {
      // ASCII is the same in every form, and never joins what is before it: only its last letter may take up a mark.
      const size_t ascii = AsciiRun(text.substr(at));
      const bool is_last = at + ascii == text.size();
      const size_t kept = is_last || ascii == 0 ? ascii : ascii - 1;
      made += text.substr(at, kept);
      at += kept;
      if (is_last) break;
      const size_t begin = at;
      at += ascii - kept;
      while (at < text.size() && static_cast<uint8_t>(text[at]) >= 0x80) ++at;
      Append(text.substr(begin, at - begin), &made);
    }
    return made;
  }

 private:
  static utf8proc_option_t OptionsOf(const std::string& form) {
    int options = UTF8PROC_STABLE | (form.ends_with("C") ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE);
    if (form.find('K') != std::string::npos) options |= UTF8PROC_COMPAT;
    return static_cast<utf8proc_option_t>(options);
  }

  void Append(std::string_view text, std::string* made) {
    const auto* from = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
    const auto size = static_cast<utf8proc_ssize_t>(text.size());
    while (true) {
      const auto room = static_cast<utf8proc_ssize_t>(points_.size());
      const utf8proc_ssize_t count = utf8proc_decompose(from, size, points_.data(), room - 1, options_);
      if (count < 0) throw std::invalid_argument(utf8proc_errmsg(count));
      if (count < room) {
        const utf8proc_ssize_t bytes = utf8proc_reencode(points_.data(), count, options_);  // in place, and a zero
        if (bytes < 0) throw std::invalid_argument(utf8proc_errmsg(bytes));
        made->append(reinterpret_cast<const char*>(points_.data()), static_cast<size_t>(bytes));
        return;
      }
      points_.resize(static_cast<size_t>(count) + 1);
    }
  }

  utf8proc_option_t options_;
  std::vector<utf8proc_int32_t> points_ = std::vector<utf8proc_int32_t>(64);
};

}  // namespace
}  // namespace leman::builtin

LEMAN_UDF_CLASS(lower, leman::builtin::Lower, text);
LEMAN_UDF_CLASS(normalize_unicode, leman::builtin::NormalizeUnicode, text);
