#include "base/hmac_sha256.h"

#include "base/sha256.h"

namespace leman {
namespace {

constexpr size_t kBlockBytes = 64;

std::string Padded(std::string_view key, char with) {
  std::string block(key);
  block.resize(kBlockBytes, '\0');
  for (char& byte : block) byte = static_cast<char>(byte ^ with);
  return block;
}

}  // namespace

std::string HmacSha256(std::string_view key, std::string_view data) {
  const std::string short_key = key.size() > kBlockBytes ? Sha256(key) : std::string(key);
  return Sha256(Padded(short_key, '\x5c') + Sha256(Padded(short_key, '\x36').append(data)));
}

bool EqualInConstantTime(std::string_view a, std::string_view b) {
  unsigned char difference = a.size() == b.size() ? 0 : 1;
  for (size_t i = 0; i < a.size() && i < b.size(); ++i) {
    difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]);
  }
  return difference == 0;
}

}  // namespace leman
