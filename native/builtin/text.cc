// Built-in functions on texts.
#include <leman/udf.h>

#include <array>
#include <limits>
#include <string>
#include <vector>

#include "parameters.h"
#include "text_scan.h"
#include "utf8.h"

namespace leman::builtin {
namespace {

// The finaliser of SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
uint64_t Mix(uint64_t value) {
  value += 0x9E3779B97F4A7C15U;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9U;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EBU;
  return value ^ (value >> 31);
}

uint64_t HashOf(std::string_view bytes) {
  uint64_t hash = Mix(bytes.size());
  for (size_t at = 0; at < bytes.size(); at += 8) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, std::min<size_t>(8, bytes.size() - at));
    hash = Mix(hash ^ word);
  }
  return hash;
}

// Calls `take` with each word, in order: a run of letters and digits, or one ideograph.
template <typename Take>
void ForEachToken(std::string_view text, Take&& take) {
  size_t begin = 0;
  bool inside = false;
  for (size_t at = 0; at < text.size();) {
    const size_t here = at;
    const uint32_t c = NextCodePoint(text, &at);
    const bool ideograph = IsIdeograph(c);
    const bool part = !ideograph && IsWordPart(c);
    if (inside && !part) take(text.substr(begin, here - begin));
    if (part && !inside) begin = here;
    if (ideograph) take(text.substr(here, at - here));
    inside = part;
  }
  if (inside) take(text.substr(begin));
}

// Hashes of all runs of `words` tokens; of the whole text where it has fewer.
std::vector<uint64_t> Shingles(std::string_view text, size_t words) {
  std::vector<uint64_t> tokens;
  ForEachToken(text, [&](std::string_view token) { tokens.push_back(HashOf(token)); });
  std::vector<uint64_t> shingles;
  const size_t width = std::min(words, tokens.size());
  for (size_t i = 0; width > 0 && i + width <= tokens.size(); ++i) {
    uint64_t hash = 0;
    for (size_t j = 0; j < width; ++j) hash = Mix(hash ^ tokens[i + j]);
    shingles.push_back(hash);
  }
  return shingles;
}

// A function of one text that has no parameters.
struct TextFunction {
  static void CheckParameters(std::string_view json) { udf::TakesNoParameters(json); }
  explicit TextFunction(std::string_view) {}
};

class CharCount : public TextFunction {
 public:
  using TextFunction::TextFunction;
  int64_t operator()(std::string_view text) const { return CountChars(text); }
  // Some rows at a time: where all of these are ASCII, which is soon seen, there is nothing to count.
  bool All(const udf::Column<std::string_view>& texts, udf::Results<int64_t>& counts) const {
    constexpr int64_t kRows = 64;
    for (int64_t row = 0; row < texts.size();) {
      const int64_t end = std::min(texts.size(), row + kRows);
      if (IsAsciiText(texts.views(row, end - row))) {
        for (; row < end; ++row) counts.data()[row] = static_cast<int64_t>(texts[row].size());
      } else {
        for (; row < end; ++row) counts.data()[row] = CountChars(texts[row]);
      }
    }
    return true;
  }
};

class LowerAsciiText : public TextFunction {
 public:
  using TextFunction::TextFunction;
  auto operator()(std::string_view text) const {
    return udf::Written{text.size(), [text](char* out) -> size_t {
                          LowerAscii(text, out);
                          return text.size();
                        }};
  }
  template <typename Lowered>
  bool All(const udf::Column<std::string_view>& texts, Lowered& lowered) const {
    const std::string_view all = texts.views(0, texts.size());
    LowerAscii(all, lowered.Reserve(all.size()));
    lowered.SetSizes(texts);
    return true;
  }
};

class MinHash {
 public:
  static void CheckParameters(std::string_view json) { MinHash{json}; }
  explicit MinHash(std::string_view json) : MinHash(Parameters(json, {"permutations", "words"})) {}
  std::vector<uint32_t> operator()(std::string_view text) const {
    std::vector<uint32_t> least(seeds_.size(), std::numeric_limits<uint32_t>::max());
    for (const uint64_t shingle : Shingles(text, words_)) {
      for (size_t i = 0; i < seeds_.size(); ++i) {
        least[i] = std::min(least[i], static_cast<uint32_t>(Mix(shingle ^ seeds_[i]) >> 32));
      }
    }
    return least;
  }

 private:
  explicit MinHash(const Parameters& parameters) : words_(static_cast<size_t>(parameters.Integer("words", 3, 1, 100))) {
    const int64_t permutations = parameters.Integer("permutations", 128, 1, 4096);
    for (int64_t i = 0; i < permutations; ++i) seeds_.push_back(Mix(static_cast<uint64_t>(i)));
  }
  size_t words_;
  std::vector<uint64_t> seeds_;
};

class SimHash {
 public:
  static void CheckParameters(std::string_view json) { SimHash{json}; }
  explicit SimHash(std::string_view json)
      : words_(static_cast<size_t>(Parameters(json, {"words"}).Integer("words", 3, 1, 100))) {}
  uint64_t operator()(std::string_view text) const {
    std::array<int32_t, 64> votes{};
    for (const uint64_t shingle : Shingles(text, words_)) {
      for (size_t bit = 0; bit < 64; ++bit) votes[bit] += (shingle >> bit & 1) != 0 ? 1 : -1;
    }
    uint64_t hash = 0;
    for (size_t bit = 0; bit < 64; ++bit) hash |= static_cast<uint64_t>(votes[bit] > 0) << bit;
    return hash;
  }

 private:
  size_t words_;
};

}  // namespace
}  // namespace leman::builtin

LEMAN_UDF(byte_count, [](leman::udf::Bytes data) -> int64_t { return static_cast<int64_t>(data.data.size()); });
LEMAN_UDF_CLASS(char_count, leman::builtin::CharCount, text);
LEMAN_UDF(word_count, [](std::string_view text) -> int64_t { return leman::builtin::CountWords(text); });
LEMAN_UDF(token_count, [](std::string_view text) -> int64_t {
  int64_t count = 0;
  leman::builtin::ForEachToken(text, [&](std::string_view) { ++count; });
  return count;
});
LEMAN_UDF_CLASS(lower_ascii, leman::builtin::LowerAsciiText, text);
LEMAN_UDF(normalize_space, [](std::string_view text) {
  return leman::udf::Written{text.size(),
                             [text](char* out) -> size_t { return leman::builtin::NormalizeSpace(text, out); }};
});
LEMAN_UDF_CLASS(minhash, leman::builtin::MinHash, text);
LEMAN_UDF_CLASS(simhash, leman::builtin::SimHash, text);
