#include "sha256_pairs.h"

#include "sha256_digits.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <utility>
#endif

namespace leman::builtin {
namespace {

#if defined(__x86_64__)

constexpr size_t kBlockBytes = 64;
constexpr size_t kSizeBytes = 8;   // the length in bits, at the end of the last block
constexpr size_t kLastBlocks = 8;  // at least 2; so many are copied, so that short texts are hashed in one go

// FIPS 180-4: the first 32 bits of the fractions of the cube roots of the first 64 primes, and of the square roots of
// the first eight.
alignas(16) constexpr uint32_t kRoundConstants[64] = {
    0x428A2F98, 0x71374491, 0xB5C0FBCF, 0xE9B5DBA5, 0x3956C25B, 0x59F111F1, 0x923F82A4, 0xAB1C5ED5,
    0xD807AA98, 0x12835B01, 0x243185BE, 0x550C7DC3, 0x72BE5D74, 0x80DEB1FE, 0x9BDC06A7, 0xC19BF174,
    0xE49B69C1, 0xEFBE4786, 0x0FC19DC6, 0x240CA1CC, 0x2DE92C6F, 0x4A7484AA, 0x5CB0A9DC, 0x76F988DA,
    0x983E5152, 0xA831C66D, 0xB00327C8, 0xBF597FC7, 0xC6E00BF3, 0xD5A79147, 0x06CA6351, 0x14292967,
    0x27B70A85, 0x2E1B2138, 0x4D2C6DFC, 0x53380D13, 0x650A7354, 0x766A0ABB, 0x81C2C92E, 0x92722C85,
    0xA2BFE8A1, 0xA81A664B, 0xC24B8B70, 0xC76C51A3, 0xD192E819, 0xD6990624, 0xF40E3585, 0x106AA070,
    0x19A4C116, 0x1E376C08, 0x2748774C, 0x34B0BCB5, 0x391C0CB3, 0x4ED8AA4A, 0x5B9CCA4F, 0x682E6FF3,
    0x748F82EE, 0x78A5636F, 0x84C87814, 0x8CC70208, 0x90BEFFFA, 0xA4506CEB, 0xBEF9A3F7, 0xC67178F2};
// In the order of the instructions: a, b, e, f from the top of the first half, c, d, g, h from the top of the second.
constexpr uint32_t kStart[8] = {0x9B05688C, 0x510E527F, 0xBB67AE85, 0x6A09E667,
                                0x5BE0CD19, 0x1F83D9AB, 0xA54FF53A, 0x3C6EF372};

// One hash on its way: `next` has `blocks` whole blocks left, then come the last ones with the length.
struct Stream {
  __m128i halves[2];
  const char* next;
  size_t blocks;
  char last[kLastBlocks * kBlockBytes];
  size_t last_blocks;
  char* out;
};

// Two blocks, one of each stream, whose rounds do not wait for each other: a round alone leaves the unit idle for half
// of its time.
__attribute__((target("sha,sse4.1,ssse3"))) void CompressPairs(Stream* a, Stream* b, size_t blocks) {
  const __m128i order = _mm_set_epi64x(0x0C0D0E0F08090A0B, 0x0405060700010203);
  Stream* const streams[2] = {a, b};
  __m128i abef[2] = {a->halves[0], b->halves[0]};
  __m128i cdgh[2] = {a->halves[1], b->halves[1]};
  for (size_t block = 0; block < blocks; ++block) {
    const __m128i abef_before[2] = {abef[0], abef[1]};
    const __m128i cdgh_before[2] = {cdgh[0], cdgh[1]};
    __m128i words[2][4];
#pragma GCC unroll 16
    for (int four = 0; four < 16; ++four) {
      const __m128i constants = _mm_load_si128(reinterpret_cast<const __m128i*>(kRoundConstants) + four);
#pragma GCC unroll 2
      for (int i = 0; i < 2; ++i) {
        __m128i& now = words[i][four & 3];
        if (four < 4) {
          const auto* from = reinterpret_cast<const __m128i*>(streams[i]->next + block * kBlockBytes) + four;
          now = _mm_shuffle_epi8(_mm_loadu_si128(from), order);
        } else {
          const __m128i before = words[i][(four + 3) & 3];
          const __m128i between = _mm_alignr_epi8(before, words[i][(four + 2) & 3], 4);
          now = _mm_sha256msg1_epu32(now, words[i][(four + 1) & 3]);
          now = _mm_sha256msg2_epu32(_mm_add_epi32(now, between), before);
        }
        const __m128i sums = _mm_add_epi32(now, constants);
        cdgh[i] = _mm_sha256rnds2_epu32(cdgh[i], abef[i], sums);
        abef[i] = _mm_sha256rnds2_epu32(abef[i], cdgh[i], _mm_shuffle_epi32(sums, 0x0E));
      }
    }
    for (int i = 0; i < 2; ++i) {
      abef[i] = _mm_add_epi32(abef[i], abef_before[i]);
      cdgh[i] = _mm_add_epi32(cdgh[i], cdgh_before[i]);
    }
  }
  for (int i = 0; i < 2; ++i) {
    streams[i]->halves[0] = abef[i];
    streams[i]->halves[1] = cdgh[i];
    streams[i]->next += blocks * kBlockBytes;
    streams[i]->blocks -= blocks;
  }
}

void Begin(std::string_view text, char* out, Stream* stream) {
  std::memcpy(stream->halves, kStart, sizeof kStart);
  stream->next = text.data();
  const size_t all = (text.size() + 1 + kSizeBytes + kBlockBytes - 1) / kBlockBytes;
  stream->blocks = all <= kLastBlocks ? 0 : text.size() / kBlockBytes;
  stream->last_blocks = all - stream->blocks;
  const std::string_view rest = text.substr(stream->blocks * kBlockBytes);
  if (!rest.empty()) std::memcpy(stream->last, rest.data(), rest.size());
  const size_t padded = stream->last_blocks * kBlockBytes - kSizeBytes;
  stream->last[rest.size()] = static_cast<char>(0x80);
  std::memset(stream->last + rest.size() + 1, 0, padded - rest.size() - 1);
  const uint64_t bits = __builtin_bswap64(uint64_t{text.size()} * 8);
  std::memcpy(stream->last + padded, &bits, sizeof bits);
  stream->out = out;
}

// Goes on to the last blocks. False: there are none left.
bool HasMore(Stream* stream) {
  if (stream->blocks == 0) {
    stream->next = stream->last;
    stream->blocks = std::exchange(stream->last_blocks, 0);
  }
  return stream->blocks > 0;
}

__attribute__((target("ssse3"))) void WriteDigits(const Stream& stream) {
  const __m128i turned = _mm_set_epi64x(0x08090A0B0C0D0E0F, 0x0001020304050607);
  const __m128i digits = _mm_setr_epi8('0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f');
  const __m128i low_bits = _mm_set1_epi8(15);
  const __m128i words[2] = {_mm_unpackhi_epi64(stream.halves[0], stream.halves[1]),
                            _mm_unpacklo_epi64(stream.halves[0], stream.halves[1])};
  auto* out = reinterpret_cast<__m128i*>(stream.out);
  for (const __m128i& four : words) {
    const __m128i bytes = _mm_shuffle_epi8(four, turned);
    const __m128i upper = _mm_and_si128(_mm_srli_epi16(bytes, 4), low_bits);
    const __m128i lower = _mm_and_si128(bytes, low_bits);
    _mm_storeu_si128(out++, _mm_shuffle_epi8(digits, _mm_unpacklo_epi8(upper, lower)));
    _mm_storeu_si128(out++, _mm_shuffle_epi8(digits, _mm_unpackhi_epi8(upper, lower)));
  }
}

bool HasShaInstructions() {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & bit_SSSE3) == 0 || (c & bit_SSE4_1) == 0) return false;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & bit_SHA) != 0;
}

void WritePairs(const std::string_view* texts, size_t count, char* out) {
  std::array<Stream, 2> streams{};
  size_t begun = 0;
  const auto begin = [&](Stream* stream) {
    if (begun == count) return false;
    Begin(texts[begun], out + begun * kSha256Digits, stream);
    ++begun;
    return HasMore(stream);
  };
  bool running[2] = {begin(&streams[0]), begin(&streams[1])};
  while (running[0] && running[1]) {
    CompressPairs(&streams[0], &streams[1], std::min(streams[0].blocks, streams[1].blocks));
    for (size_t i = 0; i < 2; ++i) {
      if (HasMore(&streams[i])) continue;
      WriteDigits(streams[i]);
      running[i] = begin(&streams[i]);
    }
  }
  for (size_t i = 0; i < 2; ++i) {
    if (!running[i]) continue;
    do {
      Stream beside = streams[i];  // Nothing is left to put there.
      CompressPairs(&streams[i], &beside, streams[i].blocks);
    } while (HasMore(&streams[i]));
    WriteDigits(streams[i]);
  }
}

#endif

}  // namespace

void WriteSha256All(const std::string_view* texts, size_t count, char* out) {
#if defined(__x86_64__)
  static const bool has_instructions = HasShaInstructions();
  if (has_instructions) return WritePairs(texts, count, out);
#endif
  for (size_t i = 0; i < count; ++i) WriteSha256(texts[i], out + i * kSha256Digits);
}

}  // namespace leman::builtin
