#include "assemble/proto_wire.h"

namespace leman {
namespace {

constexpr uint32_t kMaxFieldNumber = (1U << 29) - 1;

void AppendVarint(uint64_t value, std::string& out) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

Error Malformed(std::string_view what) { return MakeError(ErrorKind::kCorrupt, "protobuf message: ", what); }

/// Removes a varint from the front of `rest`.
Result<uint64_t> TakeVarint(std::string_view& rest) {
  uint64_t value = 0;
  for (size_t i = 0; i < rest.size() && i < 10; ++i) {
    const uint64_t byte = static_cast<uint8_t>(rest[i]);
    if (i == 9 && byte > 1) return Malformed("a varint has more than 64 bits");
    value |= (byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      rest.remove_prefix(i + 1);
      return value;
    }
  }
  return Malformed("a varint has no end");
}

}  // namespace

Result<std::string_view> WireReader::Take(uint64_t size) {
  if (size > rest_.size()) return Malformed("a field is longer than what is left");
  const std::string_view bytes = rest_.substr(0, static_cast<size_t>(size));
  rest_.remove_prefix(static_cast<size_t>(size));
  return bytes;
}

Result<WireField> WireReader::Next() {
  const std::string_view start = rest_;
  LEMAN_ASSIGN_OR_RETURN(const uint64_t key, TakeVarint(rest_));
  if ((key >> 3) == 0 || (key >> 3) > kMaxFieldNumber) return Malformed("a field number is out of range");
  WireField field;
  field.number = static_cast<uint32_t>(key >> 3);
  switch (key & 7) {
    case 0: {
      LEMAN_ASSIGN_OR_RETURN(field.value, TakeVarint(rest_));
      field.type = WireType::kVarint;
      break;
    }
    case 1:
    case 5: {
      field.type = static_cast<WireType>(key & 7);
      LEMAN_ASSIGN_OR_RETURN(field.bytes, Take(field.type == WireType::kFixed64 ? 8 : 4));
      break;
    }
    case 2: {
      field.type = WireType::kBytes;
      LEMAN_ASSIGN_OR_RETURN(const uint64_t size, TakeVarint(rest_));
      LEMAN_ASSIGN_OR_RETURN(field.bytes, Take(size));
      break;
    }
    default:
      return Malformed("a field has an unknown wire type");
  }
  field.raw = start.substr(0, start.size() - rest_.size());
  return field;
}

Status SingleFields::Accept(const WireField& field, WireType type) {
  if (field.type != type) return Malformed("a field has the wrong wire type");
  const uint64_t bit = uint64_t{1} << (field.number & 63);
  if ((seen_ & bit) != 0) return Malformed("a single field appears twice");
  seen_ |= bit;
  return Ok();
}

Status AppendUint64s(const WireField& field, std::vector<uint64_t>& values) {
  if (field.type == WireType::kVarint) {
    values.push_back(field.value);
    return Ok();
  }
  if (field.type != WireType::kBytes) return Malformed("a list of integers has the wrong wire type");
  std::string_view rest = field.bytes;
  while (!rest.empty()) {
    LEMAN_ASSIGN_OR_RETURN(const uint64_t value, TakeVarint(rest));
    values.push_back(value);
  }
  return Ok();
}

void WireWriter::Key(uint32_t number, WireType type) {
  AppendVarint((uint64_t{number} << 3) | static_cast<uint64_t>(type), out_);
}

void WireWriter::Uint64(uint32_t number, uint64_t value) {
  if (value == 0) return;
  Key(number, WireType::kVarint);
  AppendVarint(value, out_);
}

void WireWriter::PackedUint64s(uint32_t number, std::span<const uint64_t> values) {
  if (values.empty()) return;
  std::string packed;
  for (const uint64_t value : values) AppendVarint(value, packed);
  Bytes(number, packed);
}

void WireWriter::Bytes(uint32_t number, std::string_view bytes) {
  Key(number, WireType::kBytes);
  AppendVarint(bytes.size(), out_);
  out_.append(bytes);
}

}  // namespace leman
