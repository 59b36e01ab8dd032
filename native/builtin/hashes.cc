// Built-in hash: XXH3, in the version of the xxHash headers (its results are the same in all).
#include <leman/udf.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

LEMAN_UDF(xxh3_64, [](leman::udf::Bytes data) -> uint64_t { return XXH3_64bits(data.data.data(), data.data.size()); });
