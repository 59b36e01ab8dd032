// The type of a column as the scalar conversions see it: parsed once from an Arrow schema.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/arrow_c_data.h"
#include "scalar/py_ref.h"

namespace leman::python::scalar {

enum class TypeId {
  kBool,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kUInt8,
  kUInt16,
  kUInt32,
  kUInt64,
  kHalf,
  kFloat,
  kDouble,
  kUtf8,
  kLargeUtf8,
  kUtf8View,
  kBinary,
  kLargeBinary,
  kBinaryView,
  kFixedBinary,
  kDate32,
  kDate64,
  kTime32,
  kTime64,
  kTimestamp,
  kDuration,
  kList,
  kLargeList,
  kFixedList,
  kStruct,
  kPyarrow,  ///< Everything else, and whatever contains it: converted by pyarrow, a batch at a time.
};

struct ArrowType {
  TypeId id = TypeId::kPyarrow;
  std::string name;        ///< The field's name.
  PyRef key;               ///< The same as an interned str.
  std::string text;        ///< The type as pyarrow prints it.
  int64_t size = 0;        ///< List size or byte width of the fixed-size types.
  int64_t per_second = 0;  ///< Units a second of time, timestamp and duration.
  std::string timezone;    ///< Of a timestamp; empty: none.
  std::vector<ArrowType> children;
  PyRef pyarrow_type;  ///< pyarrow.DataType of kPyarrow and of the date and time types.
  PyRef tzinfo;        ///< The timezone's tzinfo, as pyarrow makes it.
};

enum class Direction { kInput, kOutput };

/// Parses `schema`, which is borrowed. The types with no conversion of their own in that direction become kPyarrow.
/// GIL held. An Error (kUnsupported, kInvalidArgument) when pyarrow cannot make the type either.
Result<ArrowType> ParseType(const ArrowSchema& schema, Direction direction);

[[nodiscard]] bool IsText(TypeId id);
/// Bool, integers and floats.
[[nodiscard]] bool IsNumber(TypeId id);
[[nodiscard]] bool IsList(TypeId id);

}  // namespace leman::python::scalar
