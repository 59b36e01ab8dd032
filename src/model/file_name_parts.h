/// \file
/// The parts of the names of files that the engine writes, in docs/formats: joined by a separator, each in one form
/// only, so that a thing has one name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leman {

/// The parts of a name; one where the separator is not in it.
std::vector<std::string_view> SplitName(std::string_view text, char separator);

/// Whether these are hexadecimal digits, lower case, and not none.
bool IsHex(std::string_view text);

/// Whether these are so many hexadecimal digits, lower case.
bool IsHex(std::string_view text, size_t digits);

/// A decimal number that is not negative, without leading zeros; none for anything else.
std::optional<int64_t> ParseCount(std::string_view text);

/// A checksum's eight hexadecimal digits.
std::string CrcText(uint32_t crc);

/// The checksum of eight hexadecimal digits; none for anything else.
std::optional<uint32_t> ParseCrc(std::string_view text);

}  // namespace leman
