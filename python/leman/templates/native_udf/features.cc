// Functions that fill columns. README.md says how to build and use them.
#include <leman/udf.h>

#include <cmath>

// A row in which text is null is null, without a call.
LEMAN_UDF(word_count, [](std::string_view text) -> int32_t {
  int32_t words = 0;
  bool inside = false;
  for (const char c : text) {
    const bool is_space = c == ' ' || c == '\t' || c == '\n' || c == '\r';
    words += !is_space && !inside ? 1 : 0;
    inside = !is_space;
  }
  return words;
});

// An exception fails the row, which meets the job's on_error.
LEMAN_UDF(norm, [](std::span<const float> vector) -> float {
  if (vector.empty()) throw std::invalid_argument("an empty vector has no norm");
  float sum = 0;
  for (const float value : vector) sum += value * value;
  return std::sqrt(sum);
});
