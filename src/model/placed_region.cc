#include "model/placed_region.h"

#include <array>
#include <string_view>
#include <vector>

#include "model/file_name_parts.h"

namespace leman {
namespace {

constexpr std::string_view kPagesSuffix = ".pages";
constexpr std::string_view kRegionSuffix = ".region";
constexpr size_t kKeyDigits = 16;
constexpr size_t kIdDigits = 16;

}  // namespace

std::string PagesFileName(int64_t fragment_id, const std::string& fragment_key) {
  return std::to_string(fragment_id) + "-" + fragment_key + std::string(kPagesSuffix);
}

bool IsPagesFileName(const std::string& file_name) {
  const std::string_view name = file_name;
  if (!name.ends_with(kPagesSuffix)) return false;
  const auto parts = SplitName(name.substr(0, name.size() - kPagesSuffix.size()), '-');
  return parts.size() == 2 && ParseCount(parts[0]) && IsHex(parts[1], kKeyDigits);
}

std::string RegionFileName(const RegionName& name) {
  return std::to_string(name.range.fragment_id) + "-" + name.fragment_key + "-" + std::to_string(name.range.start) +
         "-" + std::to_string(name.range.end) + "-" + name.region.pages_id + "-" + std::to_string(name.region.end) +
         "-" + std::to_string(name.region.size_bytes) + "-" + CrcText(name.region.crc) + std::string(kRegionSuffix);
}

std::optional<RegionName> ParseRegionFileName(const std::string& file_name) {
  const std::string_view name = file_name;
  if (!name.ends_with(kRegionSuffix)) return std::nullopt;
  const auto parts = SplitName(name.substr(0, name.size() - kRegionSuffix.size()), '-');
  constexpr size_t kParts = 8;
  if (parts.size() != kParts || !IsHex(parts[1], kKeyDigits) || !IsHex(parts[4], kIdDigits)) {
    return std::nullopt;
  }
  const auto crc = ParseCrc(parts[7]);
  if (!crc) return std::nullopt;
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
  parsed.region.crc = *crc;
  if (parsed.range.end <= parsed.range.start || parsed.region.size_bytes == 0 ||
      parsed.region.size_bytes > parsed.region.end)
    return std::nullopt;
  return parsed;
}

}  // namespace leman
