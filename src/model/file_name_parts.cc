#include "model/file_name_parts.h"

#include <charconv>

namespace leman {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr int kHexBase = 16;
constexpr size_t kCrcDigits = 8;

}  // namespace

std::vector<std::string_view> SplitName(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

bool IsHex(std::string_view text) {
  return !text.empty() && text.find_first_not_of(kHexDigits) == std::string_view::npos;
}

bool IsHex(std::string_view text, size_t digits) { return text.size() == digits && IsHex(text); }

std::optional<int64_t> ParseCount(std::string_view text) {
  int64_t value = 0;
  if (text.size() > 1 && text[0] == '0') return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

std::string CrcText(uint32_t crc) {
  std::string text(kCrcDigits, '0');
  for (size_t i = kCrcDigits; i-- > 0; crc >>= 4) text[i] = kHexDigits[crc & 0xf];
  return text;
}

std::optional<uint32_t> ParseCrc(std::string_view text) {
  if (!IsHex(text, kCrcDigits)) return std::nullopt;
  uint32_t crc = 0;
  std::from_chars(text.data(), text.data() + text.size(), crc, kHexBase);
  return crc;
}

}  // namespace leman
