#include "scalar/arrow_type.h"

#include <charconv>
#include <cstring>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "scalar/pyarrow_bridge.h"
#include "scalar/user_exception.h"

namespace leman::python::scalar {
namespace {

struct PlainFormat {
  std::string_view format;
  TypeId id;
  std::string_view text;
};

constexpr PlainFormat kPlainFormats[] = {
    {"b", TypeId::kBool, "bool"},
    {"c", TypeId::kInt8, "int8"},
    {"s", TypeId::kInt16, "int16"},
    {"i", TypeId::kInt32, "int32"},
    {"l", TypeId::kInt64, "int64"},
    {"C", TypeId::kUInt8, "uint8"},
    {"S", TypeId::kUInt16, "uint16"},
    {"I", TypeId::kUInt32, "uint32"},
    {"L", TypeId::kUInt64, "uint64"},
    {"e", TypeId::kHalf, "halffloat"},
    {"f", TypeId::kFloat, "float"},
    {"g", TypeId::kDouble, "double"},
    {"u", TypeId::kUtf8, "string"},
    {"U", TypeId::kLargeUtf8, "large_string"},
    {"vu", TypeId::kUtf8View, "string_view"},
    {"z", TypeId::kBinary, "binary"},
    {"Z", TypeId::kLargeBinary, "large_binary"},
    {"vz", TypeId::kBinaryView, "binary_view"},
    {"tdD", TypeId::kDate32, "date32[day]"},
    {"tdm", TypeId::kDate64, "date64[ms]"},
    {"tts", TypeId::kTime32, "time32[s]"},
    {"ttm", TypeId::kTime32, "time32[ms]"},
    {"ttu", TypeId::kTime64, "time64[us]"},
    {"ttn", TypeId::kTime64, "time64[ns]"},
    {"tDs", TypeId::kDuration, "duration[s]"},
    {"tDm", TypeId::kDuration, "duration[ms]"},
    {"tDu", TypeId::kDuration, "duration[us]"},
    {"tDn", TypeId::kDuration, "duration[ns]"},
};

int64_t UnitsPerSecond(char unit) {
  switch (unit) {
    case 's':
      return 1;
    case 'm':
      return 1'000;
    case 'u':
      return 1'000'000;
    default:
      return 1'000'000'000;
  }
}

bool IsTime(TypeId id) {
  return id == TypeId::kDate32 || id == TypeId::kDate64 || id == TypeId::kTime32 || id == TypeId::kTime64 ||
         id == TypeId::kTimestamp || id == TypeId::kDuration;
}

std::optional<int64_t> ParseSize(std::string_view digits) {
  int64_t size = 0;
  const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), size);
  if (problem != std::errc() || end != digits.data() + digits.size() || size < 0) return std::nullopt;
  return size;
}

// Extension types convert to objects that only pyarrow knows.
bool IsExtension(const ArrowSchema& schema) {
  if (schema.metadata == nullptr) return false;
  const char* at = schema.metadata;
  const auto next = [&at]() {
    int32_t number = 0;
    std::memcpy(&number, at, sizeof number);
    at += sizeof number;
    return number;
  };
  const int32_t pairs = next();
  for (int32_t i = 0; i < pairs; ++i) {
    const int32_t key_size = next();
    const std::string_view key(at, static_cast<size_t>(key_size));
    at += key_size;
    const int32_t value_size = next();
    at += value_size;
    if (key == "ARROW:extension:name") return true;
  }
  return false;
}

// The fields that the format string alone decides; id stays kPyarrow where it is not one of ours.
void ParseFormat(std::string_view format, ArrowType* type) {
  for (const PlainFormat& plain : kPlainFormats) {
    if (plain.format != format) continue;
    type->id = plain.id;
    type->text = plain.text;
    if (IsTime(plain.id) && format[1] != 'd') type->per_second = UnitsPerSecond(format[2]);
    return;
  }
  if (format.starts_with("ts") && format.size() >= 4 && format[3] == ':') {
    type->id = TypeId::kTimestamp;
    type->per_second = UnitsPerSecond(format[2]);
    type->timezone = format.substr(4);
    const std::string unit = format[2] == 's' ? "s" : std::string(1, format[2]) + "s";
    type->text = "timestamp[" + unit + (type->timezone.empty() ? "" : ", tz=" + type->timezone) + "]";
  } else if (format == "+l") {
    type->id = TypeId::kList;
  } else if (format == "+L") {
    type->id = TypeId::kLargeList;
  } else if (format == "+s") {
    type->id = TypeId::kStruct;
  } else if (format.starts_with("+w:") || format.starts_with("w:")) {
    const auto size = ParseSize(format.substr(format.find(':') + 1));
    if (!size) return;
    type->id = format[0] == '+' ? TypeId::kFixedList : TypeId::kFixedBinary;
    type->size = *size;
    type->text = "fixed_size_binary[" + std::to_string(*size) + "]";
  }
}

// Conversions that exist in one direction only. Nanoseconds become pandas objects where pandas is installed, which is
// pyarrow's to decide; a column that holds such a type is read by pyarrow as a whole, so that of a slice's children
// only the part in use is converted. Views are only read here, not built.
bool LeftToPyarrow(const ArrowType& type, Direction direction) {
  if (direction == Direction::kOutput) return type.id == TypeId::kUtf8View || type.id == TypeId::kBinaryView;
  for (const ArrowType& child : type.children) {
    if (child.id == TypeId::kPyarrow) return true;
  }
  return type.per_second == 1'000'000'000;
}

Status ParseChildren(const ArrowSchema& schema, Direction direction, ArrowType* type) {
  std::set<std::string> names;
  for (int64_t i = 0; i < schema.n_children; ++i) {
    LEMAN_ASSIGN_OR_RETURN(ArrowType child, ParseType(*schema.children[i], direction));
    const bool is_new = names.insert(child.name).second;
    if (!is_new && type->id == TypeId::kStruct) type->id = TypeId::kPyarrow;  // a dict cannot hold both
    type->children.push_back(std::move(child));
  }
  const auto child_text = [type](size_t i) { return type->children[i].name + ": " + type->children[i].text; };
  if (IsList(type->id)) {
    if (type->children.size() != 1) return MakeError(ErrorKind::kInvalidArgument, "a list type needs one child");
    const std::string inner = "<" + child_text(0) + ">";
    if (type->id == TypeId::kFixedList) {
      type->text = "fixed_size_list" + inner + "[" + std::to_string(type->size) + "]";
    } else {
      type->text = (type->id == TypeId::kList ? "list" : "large_list") + inner;
    }
  } else if (type->id == TypeId::kStruct) {
    type->text = "struct<";
    for (size_t i = 0; i < type->children.size(); ++i) type->text += (i == 0 ? "" : ", ") + child_text(i);
    type->text += ">";
  }
  return Ok();
}

Status AttachPython(const ArrowSchema& schema, ArrowType* type) {
  type->key = PyRef::Steal(PyUnicode_InternFromString(type->name.c_str()));
  if (!type->key) return PythonFailure("the name of column '" + type->name + "'");
  if (type->id == TypeId::kPyarrow || IsTime(type->id)) {
    type->pyarrow_type = ImportPyarrowType(schema);
    if (!type->pyarrow_type) return PythonFailure("the type of column '" + type->name + "'");
  }
  if (type->id == TypeId::kPyarrow) {
    const PyRef text = PyRef::Steal(PyObject_Str(type->pyarrow_type.get()));
    const char* utf8 = text ? PyUnicode_AsUTF8(text.get()) : nullptr;
    if (utf8 == nullptr) return PythonFailure("the type of column '" + type->name + "'");
    type->text = utf8;
  } else if (!type->timezone.empty()) {
    type->tzinfo = PyarrowTimezone(type->timezone.c_str());
    if (!type->tzinfo) return PythonFailure("the timezone of column '" + type->name + "'");
  }
  return Ok();
}

}  // namespace

Result<ArrowType> ParseType(const ArrowSchema& schema, Direction direction) {
  ArrowType type;
  type.name = schema.name == nullptr ? "" : schema.name;
  if (schema.dictionary == nullptr && !IsExtension(schema)) ParseFormat(schema.format, &type);
  if (type.id != TypeId::kPyarrow) LEMAN_RETURN_IF_ERROR(ParseChildren(schema, direction, &type));
  if (LeftToPyarrow(type, direction)) {
    type.id = TypeId::kPyarrow;
    type.children.clear();
  }
  LEMAN_RETURN_IF_ERROR(AttachPython(schema, &type));
  return type;
}

bool IsText(TypeId id) { return id == TypeId::kUtf8 || id == TypeId::kLargeUtf8 || id == TypeId::kUtf8View; }

bool IsNumber(TypeId id) { return id <= TypeId::kDouble; }

bool IsList(TypeId id) { return id == TypeId::kList || id == TypeId::kLargeList || id == TypeId::kFixedList; }

}  // namespace leman::python::scalar
