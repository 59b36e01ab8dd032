#include "udf/array_check.h"

#include <cstdlib>
#include <cstring>
#include <string_view>

namespace leman {
namespace {

constexpr int kDeepest = 32;

bool IsWhole(const ArrowSchema* schema, int depth) {
  if (schema == nullptr || depth > kDeepest || schema->release == nullptr || schema->format == nullptr) return false;
  if (schema->n_children < 0 || (schema->n_children > 0 && schema->children == nullptr)) return false;
  for (int64_t i = 0; i < schema->n_children; ++i) {
    if (!IsWhole(schema->children[i], depth + 1)) return false;
  }
  return true;
}

enum class Shape { kNull, kFixed, kOffsets32, kOffsets64, kList32, kList64, kFixedList, kStruct, kUnknown };

Shape ShapeOf(std::string_view format) {
  if (format == "n") return Shape::kNull;
  if (format == "u" || format == "z") return Shape::kOffsets32;
  if (format == "U" || format == "Z") return Shape::kOffsets64;
  if (format == "+l") return Shape::kList32;
  if (format == "+L") return Shape::kList64;
  if (format == "+s") return Shape::kStruct;
  if (format.starts_with("+w:")) return Shape::kFixedList;
  if (format.starts_with("w:") || format.starts_with("d:") || format.starts_with("t")) return Shape::kFixed;
  if (format.size() == 1 && std::string_view("bcCsSiIlLefg").find(format[0]) != std::string_view::npos) {
    return Shape::kFixed;
  }
  return Shape::kUnknown;
}

int64_t BuffersOf(Shape shape) {
  switch (shape) {
    case Shape::kNull:
      return 0;
    case Shape::kFixedList:
    case Shape::kStruct:
      return 1;
    case Shape::kOffsets32:
    case Shape::kOffsets64:
      return 3;
    default:
      return 2;
  }
}

class Checker {
 public:
  explicit Checker(const std::string& function) : function_(function) {}

  Status Check(const ArrowSchema& schema, const ArrowArray& array, int64_t least_rows, int depth) {
    const Shape shape = ShapeOf(schema.format);
    if (shape == Shape::kUnknown || depth > kDeepest) {
      return Wrong("an array of Arrow format '", schema.format, "', which native functions cannot return");
    }
    if (array.release == nullptr) return Wrong("no array");
    if (array.offset < 0 || array.length < least_rows || array.null_count < -1 || array.null_count > array.length) {
      return Wrong("an array of ", array.length, " rows from ", array.offset, " with ", array.null_count,
                   " nulls; expected at least ", least_rows, " rows");
    }
    if (array.n_buffers != BuffersOf(shape) || (array.n_buffers > 0 && array.buffers == nullptr)) {
      return Wrong(array.n_buffers, " buffers for the Arrow format '", schema.format, "'; expected ", BuffersOf(shape));
    }
    if (array.n_children != schema.n_children || (array.n_children > 0 && array.children == nullptr)) {
      return Wrong(array.n_children, " children for the Arrow format '", schema.format, "'; expected ",
                   schema.n_children);
    }
    const int64_t end = array.offset + array.length;
    if (shape != Shape::kNull && array.null_count > 0 && array.buffers[0] == nullptr)
      return Wrong("nulls without a bitmap");
    switch (shape) {
      case Shape::kFixed:
        return array.buffers[1] == nullptr && array.length > 0 ? Wrong("no values") : Ok();
      case Shape::kOffsets32:
        return CheckBytes<int32_t>(array, end);
      case Shape::kOffsets64:
        return CheckBytes<int64_t>(array, end);
      case Shape::kList32:
        return CheckList<int32_t>(schema, array, end, depth);
      case Shape::kList64:
        return CheckList<int64_t>(schema, array, end, depth);
      case Shape::kFixedList:
        return CheckChild(schema, array, end * std::strtoll(schema.format + 3, nullptr, 10), depth);
      case Shape::kStruct:
        for (int64_t i = 0; i < array.n_children; ++i) LEMAN_RETURN_IF_ERROR(CheckNth(schema, array, i, end, depth));
        return Ok();
      default:
        return Ok();
    }
  }

 private:
  template <typename... Parts>
  [[nodiscard]] Error Wrong(const Parts&... parts) const {
    return MakeError(ErrorKind::kUserFunction, function_, "() returned ", parts...);
  }

  Status CheckNth(const ArrowSchema& schema, const ArrowArray& array, int64_t index, int64_t rows, int depth) {
    if (array.children[index] == nullptr) return Wrong("an array without its child ", index);
    return Check(*schema.children[index], *array.children[index], rows, depth + 1);
  }
  Status CheckChild(const ArrowSchema& schema, const ArrowArray& array, int64_t rows, int depth) {
    if (array.n_children != 1) return Wrong("a list with ", array.n_children, " children");
    return CheckNth(schema, array, 0, rows, depth);
  }

  // The last offset, or -1 where they are no offsets.
  template <typename O>
  int64_t LastOffset(const ArrowArray& array, int64_t end) {
    if (array.length == 0) return 0;
    const auto* offsets = static_cast<const char*>(array.buffers[1]);
    if (offsets == nullptr) return -1;
    const auto at = [offsets](int64_t index) {
      O value;
      std::memcpy(&value, offsets + index * static_cast<int64_t>(sizeof(O)), sizeof(O));
      return value;
    };
    O before = at(array.offset);
    if (before < 0) return -1;
    for (int64_t i = array.offset + 1; i <= end; ++i) {
      const O next = at(i);
      if (next < before) return -1;
      before = next;
    }
    return before;
  }
  template <typename O>
  Status CheckBytes(const ArrowArray& array, int64_t end) {
    const int64_t last = LastOffset<O>(array, end);
    if (last < 0) return Wrong("offsets that are missing or fall");
    return last > 0 && array.buffers[2] == nullptr ? Wrong("no bytes") : Ok();
  }
  template <typename O>
  Status CheckList(const ArrowSchema& schema, const ArrowArray& array, int64_t end, int depth) {
    const int64_t last = LastOffset<O>(array, end);
    if (last < 0) return Wrong("offsets that are missing or fall");
    return CheckChild(schema, array, last, depth);
  }

  const std::string& function_;
};

}  // namespace

Status CheckSchema(const std::string& function, const OwnedSchema& schema) {
  if (IsWhole(schema.get(), 0)) return Ok();
  return MakeError(ErrorKind::kInvalidArgument, "function ", function,
                   " describes its types by a schema that is not whole");
}

Status CheckArray(const std::string& function, const ArrowSchema& schema, const ArrowArray& array, int64_t rows) {
  if (array.release != nullptr && array.length != rows) {
    return MakeError(ErrorKind::kUserFunction, function, "() returned ", array.length, " values for a batch of ", rows,
                     " rows; expected one a row");
  }
  return Checker(function).Check(schema, array, rows, 0);
}

}  // namespace leman
