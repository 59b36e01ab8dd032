#include "text_scan.h"

#include <algorithm>
#include <array>

#include "ascii_block.h"
#include "utf8.h"

namespace leman::builtin {
namespace {

constexpr std::array<bool, 128> kIsAsciiSpace = [] {
  std::array<bool, 128> spaces{};
  for (size_t c = 0; c < spaces.size(); ++c) spaces[c] = IsSpace(static_cast<uint32_t>(c)) || (c >= 0x1C && c <= 0x1F);
  return spaces;
}();

// Whether the code point at `*at`, which is moved past it, is white space.
bool TakeSpace(std::string_view text, size_t* at) {
  const auto byte = static_cast<uint8_t>(text[*at]);
  if (byte < 0x80) return kIsAsciiSpace[(++*at, byte)];
  return IsSpace(NextCodePoint(text, at));
}

// Writes words byte by byte; `after_space`: nothing but a blank, or nothing at all, was written before.
class WordWriter {
 public:
  explicit WordWriter(char* out) : out_(out) {}
  // Eight bytes of ASCII. Those in which single blanks part words stay as they are.
  void Take(uint64_t block) {
    const uint64_t spaces = SpacesOf(block);
    const uint64_t before = after_space_ ? 0x80U : 0U;
    if (spaces == BlanksOf(block) && (spaces & Behind(spaces, before)) == 0) {
      std::memcpy(out_ + size_, &block, sizeof block);
      size_ += kBlockBytes;
      after_space_ = spaces >> 63 != 0;
      return;
    }
    for (size_t i = 0; i < kBlockBytes; ++i) Put(static_cast<char>(block >> 8 * i), (spaces >> (8 * i + 7) & 1) != 0);
  }
  // A byte of a word, or white space, of which a blank stays where it is the first after a word.
  void Put(char byte, bool space) {
    out_[size_] = space ? ' ' : byte;
    size_ += space && after_space_ ? 0 : 1;
    after_space_ = space;
  }
  [[nodiscard]] size_t Finish() const { return size_ > 0 && after_space_ ? size_ - 1 : size_; }

 private:
  char* out_;
  size_t size_ = 0;
  bool after_space_ = true;
};

}  // namespace

int64_t CountChars(std::string_view text) {
  constexpr size_t kMostBlocks = 31;  // as many as the eight counts of a byte can add up to without overflow
  int64_t continued = 0;
  size_t at = 0;
  while (text.size() - at >= kBlockBytes) {
    const size_t blocks = std::min((text.size() - at) / kBlockBytes, kMostBlocks);
    uint64_t counts = 0;
    for (size_t i = 0; i < blocks; ++i) {
      const uint64_t block = LoadBlock(text.data() + at + i * kBlockBytes);
      counts += (block & ~(block << 1) & kTops) >> 7;
    }
    continued += static_cast<int64_t>((counts * kOnes) >> 56);
    at += blocks * kBlockBytes;
  }
  for (; at < text.size(); ++at) continued += (static_cast<uint8_t>(text[at]) & 0xC0) == 0x80 ? 1 : 0;
  return static_cast<int64_t>(text.size()) - continued;
}

int64_t CountWords(std::string_view text) {
  int64_t words = 0;
  uint64_t before = 0x80;  // set where a space, or nothing, is in front
  size_t at = 0;
  while (at < text.size()) {
    const size_t left = text.size() - at;
    const uint64_t block = left >= kBlockBytes ? LoadBlock(text.data() + at) : LoadTail(text.data() + at, left);
    if (IsAscii(block)) {
      const uint64_t spaces = SpacesOf(block);
      words += CountTops(~spaces & kTops & Behind(spaces, before));
      before = spaces >> 56;
      at += std::min(left, kBlockBytes);
      continue;
    }
    for (const size_t end = at + std::min(left, kBlockBytes); at < end;) {
      const bool space = TakeSpace(text, &at);
      words += !space && before != 0 ? 1 : 0;
      before = space ? 0x80 : 0;
    }
  }
  return words;
}

size_t NormalizeSpace(std::string_view text, char* out) {
  WordWriter writer(out);
  size_t at = 0;
  while (at < text.size()) {
    const size_t end = std::min(text.size(), at + kBlockBytes);
    if (end - at == kBlockBytes) {
      if (const uint64_t block = LoadBlock(text.data() + at); IsAscii(block)) {
        writer.Take(block);
        at = end;
        continue;
      }
    }
    while (at < end) {
      const size_t here = at;
      if (TakeSpace(text, &at)) {
        writer.Put(' ', true);
      } else {
        for (size_t i = here; i < at; ++i) writer.Put(text[i], false);
      }
    }
  }
  return writer.Finish();
}

void LowerAscii(std::string_view text, char* __restrict out) {
  const char* __restrict from = text.data();
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<uint8_t>(from[i]);
    const auto lower = static_cast<uint8_t>(c + 0x20);
    out[i] = static_cast<char>(c >= 'A' && c <= 'Z' ? lower : c);
  }
}

bool IsAsciiText(std::string_view text) {
  uint64_t seen = 0;
  size_t at = 0;
  for (; at + kBlockBytes <= text.size(); at += kBlockBytes) seen |= LoadBlock(text.data() + at);
  return IsAscii(seen | LoadTail(text.data() + at, text.size() - at));
}

}  // namespace leman::builtin
