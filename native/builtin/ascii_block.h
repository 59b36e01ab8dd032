// Eight bytes of ASCII at a time, in one register: what scans of texts are made of.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace leman::builtin {

static_assert(std::endian::native == std::endian::little, "the first byte of a block is its lowest");

constexpr size_t kBlockBytes = 8;
constexpr uint64_t kOnes = 0x0101010101010101U;
constexpr uint64_t kTops = 0x8080808080808080U;

inline uint64_t LoadBlock(const char* from) {
  uint64_t block = 0;
  std::memcpy(&block, from, sizeof block);
  return block;
}

/// The last `size` (under 8) bytes of a text, with blanks behind them.
inline uint64_t LoadTail(const char* from, size_t size) {
  uint64_t block = kOnes * ' ';
  std::memcpy(&block, from, size);
  return block;
}

constexpr bool IsAscii(uint64_t block) { return (block & kTops) == 0; }

/// The top bit of each byte that is `least` or above; of an ASCII block.
constexpr uint64_t AtLeast(uint64_t block, uint8_t least) { return (block + kOnes * (0x80U - least)) & kTops; }

/// The top bit of each blank.
constexpr uint64_t BlanksOf(uint64_t block) { return AtLeast(block, ' ') ^ AtLeast(block, ' ' + 1); }

/// The top bit of each byte that is white space to Python: tab to CR, FS to US, blank.
constexpr uint64_t SpacesOf(uint64_t block) {
  return (AtLeast(block, 0x09) ^ AtLeast(block, 0x0E)) | (AtLeast(block, 0x1C) ^ AtLeast(block, 0x21));
}

/// How many top bits are set in `tops`, which has no others.
constexpr int64_t CountTops(uint64_t tops) { return static_cast<int64_t>(((tops >> 7) * kOnes) >> 56); }

/// Each byte's top bit moved to the byte behind it; `before` (0 or 0x80) comes in front.
constexpr uint64_t Behind(uint64_t tops, uint64_t before) { return tops << 8 | before; }

}  // namespace leman::builtin
