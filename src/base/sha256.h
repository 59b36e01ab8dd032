// SHA-256 (FIPS 180-4), for identities that must be the same on every machine and in every version.
#pragma once

#include <string>
#include <string_view>

namespace leman {

/// The SHA-256 digest of `data`, 32 raw bytes.
std::string Sha256(std::string_view data);

/// The lowercase hexadecimal SHA-256 digest (64 characters) of `data`.
std::string Sha256Hex(std::string_view data);

}  // namespace leman
