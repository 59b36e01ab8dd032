// The schema descriptor of a Lance v2 file: its fields, its metadata and its number of rows.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace leman {

/// Metadata keys with this prefix belong to a checkpoint, not to the column.
inline constexpr std::string_view kCheckpointKeyPrefix = "leman.";

/// One node of the schema's tree. Fields come in pre-order.
struct SchemaField {
  std::string name;
  int32_t id = 0;
  int32_t parent_id = 0;  ///< -1: a top-level field.
  std::string logical_type;
  bool nullable = false;
  std::map<std::string, std::string> metadata;
  std::string other;  ///< All its parts but `metadata`, as they were written: equal fields have equal bytes.
  std::string raw;    ///< The `Field` message, unchanged.
};

/// True if both describe the same column in the same way.
bool SameField(const SchemaField& a, const SchemaField& b);

/// `field` with other metadata.
SchemaField WithMetadata(const SchemaField& field, std::map<std::string, std::string> metadata);

struct SchemaDescriptor {
  std::vector<SchemaField> fields;
  std::vector<std::pair<std::string, std::string>> metadata;  ///< In the file's order.
  uint64_t rows = 0;
};

/// kCorrupt if `message` is malformed, kUnsupported if it has a part that this build does not know.
Result<SchemaDescriptor> ParseSchemaDescriptor(std::string_view message);
std::string EncodeSchemaDescriptor(const SchemaDescriptor& descriptor);

/// For each field the indices of its children, and the top-level fields last; kCorrupt if ids do not make a tree.
Result<std::vector<std::vector<size_t>>> ChildrenOfFields(const std::vector<SchemaField>& fields);

}  // namespace leman
