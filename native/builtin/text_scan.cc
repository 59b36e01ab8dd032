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

using Lanes = int8_t __attribute__((vector_size(16)));

// As a signed number, each byte that continues a code point is below this.
constexpr int8_t kFirstNoContinuation = -0x40;
bool Continues(char c) { return static_cast<int8_t>(c) < kFirstNoContinuation; }

Lanes LoadLanes(const char* from) {
  Lanes lanes;
  std::memcpy(&lanes, from, sizeof lanes);
  return lanes;
}

constexpr int8_t kToLower = 'a' - 'A';

// Read from byte n on: sixteen lanes of which the last n are all ones.
constexpr std::array<char, 32> kLastLanes = [] {
  std::array<char, 32> bytes{};
  for (size_t i = 16; i < bytes.size(); ++i) bytes[i] = -1;
  return bytes;
}();

// The sum of sixteen counts of at most 127.
int64_t SumOf(const Lanes& counts) {
  constexpr uint64_t kEvenBytes = 0x00FF00FF00FF00FFU;
  uint64_t halves[2];
  std::memcpy(halves, &counts, sizeof halves);
  const uint64_t bytes = halves[0] + halves[1];
  const uint64_t pairs = (bytes & kEvenBytes) + (bytes >> 8 & kEvenBytes);
  return static_cast<int64_t>((pairs * 0x0001000100010001U) >> 48);
}

}  // namespace

int64_t CountChars(std::string_view text) {
  constexpr size_t kLanes = sizeof(Lanes);
  constexpr size_t kMostBlocks = 126;  // with the last one, as many as a lane can count
  int64_t continued = 0;
  if (text.size() < kLanes) {
    for (const char c : text) continued += Continues(c) ? 1 : 0;
    return static_cast<int64_t>(text.size()) - continued;
  }
  const char* at = text.data();
  const char* const end = at + text.size();
  while (true) {
    const size_t blocks = std::min(static_cast<size_t>(end - at) / kLanes, kMostBlocks);
    Lanes counts{};
    for (size_t i = 0; i < blocks; ++i, at += kLanes) counts -= LoadLanes(at) < kFirstNoContinuation;  // true is -1
    const auto left = static_cast<size_t>(end - at);
    if (left < kLanes) {
      // The last sixteen bytes, of which `left` are not counted yet; without a branch on how many these are.
      counts -= (LoadLanes(end - kLanes) < kFirstNoContinuation) & LoadLanes(kLastLanes.data() + left);
      return static_cast<int64_t>(text.size()) - continued - SumOf(counts);
    }
    continued += SumOf(counts);
  }
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

void LowerAscii(std::string_view text, char* out) {
  constexpr size_t kLanes = sizeof(Lanes);
  const char* from = text.data();
  if (text.size() < kLanes) {
    for (size_t i = 0; i < text.size(); ++i) {
      out[i] = from[i] >= 'A' && from[i] <= 'Z' ? static_cast<char>(from[i] + kToLower) : from[i];
    }
    return;
  }
  const auto lower = [&](size_t at) {
    const Lanes lanes = LoadLanes(from + at);
    const Lanes lowered = lanes + ((lanes >= 'A') & (lanes <= 'Z') & kToLower);
    std::memcpy(out + at, &lowered, sizeof lowered);
  };
  for (size_t at = 0; at + kLanes <= text.size(); at += kLanes) lower(at);
  lower(text.size() - kLanes);
}

bool IsAsciiText(std::string_view text) {
  constexpr size_t kLookedAt = 4096;  // before the next look at what was seen
  size_t at = 0;
  while (at < text.size()) {
    const size_t end = std::min(text.size(), at + kLookedAt);
    Lanes seen[4] = {};
    for (; at + sizeof seen <= end; at += sizeof seen) {
      for (size_t i = 0; i < 4; ++i) seen[i] |= LoadLanes(text.data() + at + i * sizeof(Lanes));
    }
    uint64_t blocks[2];
    const Lanes all = (seen[0] | seen[1]) | (seen[2] | seen[3]);
    std::memcpy(blocks, &all, sizeof blocks);
    uint64_t last = blocks[0] | blocks[1];
    for (; at + kBlockBytes <= end; at += kBlockBytes) last |= LoadBlock(text.data() + at);
    last |= LoadTail(text.data() + at, end - at);
    at = end;
    if (!IsAscii(last)) return false;
  }
  return true;
}

}  // namespace leman::builtin
