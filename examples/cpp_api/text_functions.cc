// A native function, which Leman's workers load from a shared library.
#include <leman/udf.h>

LEMAN_UDF(word_count, [](std::string_view text) -> int32_t {
  int32_t words = 0;
  bool inside = false;
  for (const char c : text) {
    const bool is_space = c == ' ' || c == '\n' || c == '\t';
    words += !is_space && !inside ? 1 : 0;
    inside = !is_space;
  }
  return words;
});
