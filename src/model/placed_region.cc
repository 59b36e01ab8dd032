#include "model/placed_region.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>
#include <vector>

namespace leman {
namespace {

constexpr std::string_view kPagesSuffix = ".pages";
constexpr std::string_view kRegionSuffix = ".region";
constexpr size_t kKeyDigits = 16;
constexpr size_t kIdDigits = 16;
constexpr size_t kCrcDigits = 8;

bool IsHex(std::string_view text, size_t digits) {
  return text.size() == digits &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

// One form only, so that a number has one name.
std::optional<int64_t> ParseCount(std::string_view text) {
  int64_t value = 0;
  if (text.size() > 1 && text[0] == '0') return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

std::vector<std::string_view> Split(std::string_view text) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t at = text.find('-');
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

std::string Hex(uint32_t value) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text(kCrcDigits, '0');
  for (size_t i = kCrcDigits; i-- > 0; value >>= 4) text[i] = kDigits[value & 0xf];
  return text;
}

}  // namespace

std::string PagesFileName(int64_t fragment_id, const std::string& fragment_key) {
  return std::to_string(fragment_id) + "-" + fragment_key + std::string(kPagesSuffix);
}

bool IsPagesFileName(const std::string& file_name) {
  const std::string_view name = file_name;
  if (!name.ends_with(kPagesSuffix)) return false;
  const auto parts = Split(name.substr(0, name.size() - kPagesSuffix.size()));
  return parts.size() == 2 && ParseCount(parts[0]) && IsHex(parts[1], kKeyDigits);
}

std::string RegionFileName(const RegionName& name) {
  return std::to_string(name.range.fragment_id) + "-" + name.fragment_key + "-" + std::to_string(name.range.start) +
         "-" + std::to_string(name.range.end) + "-" + name.region.pages_id + "-" + std::to_string(name.region.end) +
         "-" + std::to_string(name.region.size_bytes) + "-" + Hex(name.region.crc) + std::string(kRegionSuffix);
}

std::optional<RegionName> ParseRegionFileName(const std::string& file_name) {
  const std::string_view name = file_name;
  if (!name.ends_with(kRegionSuffix)) return std::nullopt;
  const auto parts = Split(name.substr(0, name.size() - kRegionSuffix.size()));
  constexpr size_t kParts = 8;
  if (parts.size() != kParts || !IsHex(parts[1], kKeyDigits) || !IsHex(parts[4], kIdDigits) ||
      !IsHex(parts[7], kCrcDigits)) {
    return std::nullopt;
  }
  std::array<int64_t, 5> numbers{};
  constexpr std::array<size_t, 5> kNumbers = {0, 2, 3, 5, 6};
  for (size_t i = 0; i < numbers.size(); ++i) {
    const auto number = ParseCount(parts[kNumbers[i]]);
    if (!number) return std::nullopt;
    numbers[i] = *number;
  }
  RegionName parsed;
  parsed.range = {numbers[0], numbers[1], numbers[2]};
  parsed.fragment_key = parts[1];
  parsed.region.pages_id = parts[4];
  parsed.region.end = numbers[3];
  parsed.region.size_bytes = numbers[4];
  constexpr int kHex = 16;
  (void)std::from_chars(parts[7].data(), parts[7].data() + parts[7].size(), parsed.region.crc, kHex);
  if (parsed.range.end <= parsed.range.start || parsed.region.size_bytes == 0 ||
      parsed.region.size_bytes > parsed.region.end)
    return std::nullopt;
  return parsed;
}

}  // namespace leman
