// SHA-256 in hexadecimal digits, as fast as the machine can: by OpenSSL where the build has it, else by the engine.
#pragma once

#include <cstddef>
#include <string_view>

namespace leman::builtin {

constexpr size_t kSha256Digits = 64;

/// Writes 64 digits to `out`.
void WriteSha256(std::string_view data, char* out);

}  // namespace leman::builtin
