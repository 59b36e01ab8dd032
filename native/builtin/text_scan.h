// Words, characters and case of texts; white space is Python's (str.split).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace leman::builtin {

/// Code points of a UTF-8 text: bytes that do not continue one.
int64_t CountChars(std::string_view text);

/// Runs without white space.
int64_t CountWords(std::string_view text);

/// Writes the words with one blank between them; `out` has room for text.size() bytes. Returns how many it used.
size_t NormalizeSpace(std::string_view text, char* out);

/// Writes the text with A to Z made lower; `out` has room for text.size() bytes.
void LowerAscii(std::string_view text, char* out);

bool IsAsciiText(std::string_view text);

}  // namespace leman::builtin
