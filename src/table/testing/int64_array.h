// Arrow arrays of int64 for tests.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/arrow_c_data.h"

namespace leman::testing {

using Int64s = std::vector<std::optional<int64_t>>;

OwnedArray MakeInt64Array(const Int64s& values);
OwnedArray MakeBoolArray(const std::vector<bool>& values);
/// A struct array over `columns`, which all have `length` rows.
OwnedArray MakeStructArray(std::vector<OwnedArray> columns, int64_t length);
/// A schema of format `format`.
OwnedSchema MakeSchema(const std::string& format, const std::string& name);
OwnedSchema MakeStructSchema(std::vector<OwnedSchema> columns);
/// The values of an int64 array; honours offset and validity.
Int64s ReadInt64Array(const ArrowArray& array);
/// A stream over `batches` of type `schema`.
OwnedStream MakeStream(OwnedSchema schema, std::vector<OwnedArray> batches);

}  // namespace leman::testing
