// HMAC with SHA-256 (RFC 2104, FIPS 198-1): proof that the sender of some bytes knows a secret.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace leman {

constexpr size_t kHmacBytes = 32;

/// The authentication code of `data` under `key`, kHmacBytes raw bytes.
std::string HmacSha256(std::string_view key, std::string_view data);

/// Whether two strings are equal; takes as long wherever they differ.
bool EqualInConstantTime(std::string_view a, std::string_view b);

}  // namespace leman
