#include "sha256_digits.h"

#include <array>
#include <cstdint>
#include <cstring>

#ifdef LEMAN_HAS_OPENSSL
// The functions below EVP, which OpenSSL 3 would rather not see used: EVP looks its implementation up for each text,
// which costs more than the hash of a short one.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
#else
#include "base/sha256.h"
#endif

namespace leman::builtin {

#ifdef LEMAN_HAS_OPENSSL
void WriteSha256(std::string_view data, char* out) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::array<uint8_t, SHA256_DIGEST_LENGTH> digest{};
  SHA256_CTX context;
  SHA256_Init(&context);
  SHA256_Update(&context, data.data(), data.size());
  SHA256_Final(digest.data(), &context);
  for (size_t i = 0; i < digest.size(); ++i) {
    out[2 * i] = kDigits[digest[i] >> 4];
    out[2 * i + 1] = kDigits[digest[i] & 15];
  }
}
#else
void WriteSha256(std::string_view data, char* out) { std::memcpy(out, Sha256Hex(data).data(), kSha256Digits); }
#endif

}  // namespace leman::builtin
