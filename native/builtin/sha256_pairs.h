// SHA-256 of many texts, two at a time where the processor has instructions for it.
#pragma once

#include <cstddef>
#include <string_view>

namespace leman::builtin {

/// Writes the 64 digits of each of `count` texts, one after the other.
void WriteSha256All(const std::string_view* texts, size_t count, char* out);

}  // namespace leman::builtin
