#include "assemble/file_descriptor.h"

#include <limits>

#include "assemble/proto_wire.h"

namespace leman {
namespace {

// Field numbers of file.proto: FileDescriptor, Schema, a map's entry, Field.
constexpr uint32_t kDescriptorSchema = 1;
constexpr uint32_t kDescriptorLength = 2;
constexpr uint32_t kSchemaFields = 1;
constexpr uint32_t kSchemaMetadata = 5;
constexpr uint32_t kEntryKey = 1;
constexpr uint32_t kEntryValue = 2;
constexpr uint32_t kFieldName = 2;
constexpr uint32_t kFieldId = 3;
constexpr uint32_t kFieldParentId = 4;
constexpr uint32_t kFieldLogicalType = 5;
constexpr uint32_t kFieldNullable = 6;
constexpr uint32_t kFieldDictionary = 8;
constexpr uint32_t kFieldMetadata = 10;

using Entry = std::pair<std::string, std::string>;

Result<Entry> ParseEntry(const WireField& entry) {
  if (entry.type != WireType::kBytes) return MakeError(ErrorKind::kCorrupt, "a metadata entry is not a message");
  Entry parsed;
  SingleFields single;
  WireReader reader(entry.bytes);
  while (!reader.done()) {
    LEMAN_ASSIGN_OR_RETURN(const WireField field, reader.Next());
    if (field.number != kEntryKey && field.number != kEntryValue) {
      return MakeError(ErrorKind::kUnsupported, "a metadata entry has field ", field.number);
    }
    LEMAN_RETURN_IF_ERROR(single.Accept(field, WireType::kBytes));
    (field.number == kEntryKey ? parsed.first : parsed.second) = field.bytes;
  }
  return parsed;
}

std::string EncodeEntry(const Entry& entry) {
  WireWriter out;
  if (!entry.first.empty()) out.Bytes(kEntryKey, entry.first);
  if (!entry.second.empty()) out.Bytes(kEntryValue, entry.second);
  return std::move(out).Take();
}

Result<int32_t> FieldIdOf(uint64_t wire) {
  const auto value = static_cast<int64_t>(wire);
  if (value < -1 || value > std::numeric_limits<int32_t>::max()) {
    return MakeError(ErrorKind::kCorrupt, "field id ", value, " is out of range");
  }
  return static_cast<int32_t>(value);
}

Status ParseFieldPart(const WireField& part, SchemaField& field) {
  switch (part.number) {
    case kFieldName:
      field.name = part.bytes;
      break;
    case kFieldId: {
      LEMAN_ASSIGN_OR_RETURN(field.id, FieldIdOf(part.value));
      break;
    }
    case kFieldParentId: {
      LEMAN_ASSIGN_OR_RETURN(field.parent_id, FieldIdOf(part.value));
      break;
    }
    case kFieldLogicalType:
      field.logical_type = part.bytes;
      break;
    case kFieldNullable:
      field.nullable = part.value != 0;
      break;
    case kFieldDictionary:
      return MakeError(ErrorKind::kUnsupported, "field ", field.name, " keeps its dictionary at a place in the file");
    default:
      break;  // Kept in `raw` and compared in `other`.
  }
  return Ok();
}

WireType TypeOfFieldPart(const WireField& part) {
  switch (part.number) {
    case kFieldName:
    case kFieldLogicalType:
      return WireType::kBytes;
    case kFieldId:
    case kFieldParentId:
    case kFieldNullable:
      return WireType::kVarint;
    default:
      return part.type;
  }
}

Result<SchemaField> ParseField(std::string_view message) {
  SchemaField field;
  field.raw = message;
  SingleFields single;
  WireReader reader(message);
  while (!reader.done()) {
    LEMAN_ASSIGN_OR_RETURN(const WireField part, reader.Next());
    if (part.number == kFieldMetadata) {
      LEMAN_ASSIGN_OR_RETURN(Entry entry, ParseEntry(part));
      if (!field.metadata.insert(std::move(entry)).second) {
        return MakeError(ErrorKind::kCorrupt, "field ", field.name, " has a metadata key twice");
      }
      continue;
    }
    field.other.append(part.raw);
    if (part.number < kFieldMetadata) LEMAN_RETURN_IF_ERROR(single.Accept(part, TypeOfFieldPart(part)));
    LEMAN_RETURN_IF_ERROR(ParseFieldPart(part, field));
  }
  return field;
}

Status ParseSchema(std::string_view message, SchemaDescriptor& descriptor) {
  WireReader reader(message);
  while (!reader.done()) {
    LEMAN_ASSIGN_OR_RETURN(const WireField part, reader.Next());
    if (part.number == kSchemaFields && part.type == WireType::kBytes) {
      LEMAN_ASSIGN_OR_RETURN(SchemaField field, ParseField(part.bytes));
      descriptor.fields.push_back(std::move(field));
    } else if (part.number == kSchemaMetadata) {
      LEMAN_ASSIGN_OR_RETURN(Entry entry, ParseEntry(part));
      descriptor.metadata.push_back(std::move(entry));
    } else {
      return MakeError(ErrorKind::kUnsupported, "the schema has field ", part.number,
                       ", which this version does not know");
    }
  }
  return Ok();
}

}  // namespace

bool SameField(const SchemaField& a, const SchemaField& b) { return a.other == b.other && a.metadata == b.metadata; }

SchemaField WithMetadata(const SchemaField& field, std::map<std::string, std::string> metadata) {
  SchemaField changed = field;
  WireWriter raw;
  raw.Raw(field.other);
  for (const Entry entry : metadata) raw.Bytes(kFieldMetadata, EncodeEntry(entry));
  changed.raw = std::move(raw).Take();
  changed.metadata = std::move(metadata);
  return changed;
}

Result<SchemaDescriptor> ParseSchemaDescriptor(std::string_view message) {
  SchemaDescriptor descriptor;
  SingleFields single;
  WireReader reader(message);
  while (!reader.done()) {
    LEMAN_ASSIGN_OR_RETURN(const WireField field, reader.Next());
    if (field.number == kDescriptorSchema) {
      LEMAN_RETURN_IF_ERROR(single.Accept(field, WireType::kBytes));
      LEMAN_RETURN_IF_ERROR(ParseSchema(field.bytes, descriptor));
    } else if (field.number == kDescriptorLength) {
      LEMAN_RETURN_IF_ERROR(single.Accept(field, WireType::kVarint));
      descriptor.rows = field.value;
    } else {
      return MakeError(ErrorKind::kUnsupported, "the schema descriptor has field ", field.number,
                       ", which this version does not know");
    }
  }
  return descriptor;
}

std::string EncodeSchemaDescriptor(const SchemaDescriptor& descriptor) {
  WireWriter schema;
  for (const SchemaField& field : descriptor.fields) schema.Bytes(kSchemaFields, field.raw);
  for (const Entry& entry : descriptor.metadata) schema.Bytes(kSchemaMetadata, EncodeEntry(entry));
  WireWriter out;
  out.Bytes(kDescriptorSchema, std::move(schema).Take());
  out.Uint64(kDescriptorLength, descriptor.rows);
  return std::move(out).Take();
}

Result<std::vector<std::vector<size_t>>> ChildrenOfFields(const std::vector<SchemaField>& fields) {
  std::vector<std::vector<size_t>> children(fields.size() + 1);
  std::map<int32_t, size_t> index_of;
  for (size_t i = 0; i < fields.size(); ++i) {
    const SchemaField& field = fields[i];
    size_t parent = fields.size();
    if (field.parent_id != -1) {
      const auto found = index_of.find(field.parent_id);
      // A parent comes before its children, so there can be no cycle.
      if (found == index_of.end()) {
        return MakeError(ErrorKind::kCorrupt, "field ", field.name, " comes before its parent ", field.parent_id);
      }
      parent = found->second;
    }
    children[parent].push_back(i);
    if (!index_of.emplace(field.id, i).second) {
      return MakeError(ErrorKind::kCorrupt, "field id ", field.id, " is used twice");
    }
  }
  return children;
}

}  // namespace leman
