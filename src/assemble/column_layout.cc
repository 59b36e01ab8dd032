#include "assemble/column_layout.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "assemble/blob_values.h"
#include "assemble/page_encoding.h"

namespace leman {
namespace {

constexpr int kMaxDepth = 64;
constexpr std::string_view kFixedSizeListOfStruct = "fixed_size_list:struct";

bool IsTrue(const SchemaField& field, const std::string& key) {
  const auto found = field.metadata.find(key);
  return found != field.metadata.end() && (found->second == "true" || found->second == "True");
}

bool IsPackedStruct(const SchemaField& field) {
  return field.logical_type == "struct" && (IsTrue(field, "lance-encoding:packed") || IsTrue(field, "packed"));
}

bool IsList(const SchemaField& field) {
  return field.logical_type.starts_with("list") || field.logical_type.starts_with("large_list");
}

bool IsBlob(const SchemaField& field) {
  const auto extension = field.metadata.find("ARROW:extension:name");
  return field.metadata.contains("lance-encoding:blob") || field.logical_type.find("blob") != std::string::npos ||
         (extension != field.metadata.end() && extension->second.starts_with("lance.blob"));
}

/// Blobs keep positions in the file as values; a page boundary inside a fixed-size list of structs is read wrongly.
Status CheckField(const SchemaField& field, BlobValues blob_values = BlobValues::kRefuse) {
  if (blob_values == BlobValues::kRefuse && field.metadata.contains(std::string(kBlobValuesKey))) {
    return MakeError(ErrorKind::kUnsupported, "field ", field.name, " is a blob, whose values move out of the column");
  }
  if (IsBlob(field)) {
    return MakeError(ErrorKind::kUnsupported, "field ", field.name, " is a blob: its pages hold positions");
  }
  if (field.logical_type.starts_with(kFixedSizeListOfStruct)) {
    return MakeError(ErrorKind::kUnsupported, "field ", field.name, " is a fixed-size list of structs");
  }
  return Ok();
}

struct ColumnContent {
  PageContent::Kind kind = PageContent::Kind::kValues;
  uint64_t rows = 0;
  uint64_t items = 0;
  std::vector<std::vector<uint64_t>> layers;  ///< Of each page.
};

Result<ColumnContent> ContentOfColumn(const LanceFile& file, const ColumnMetadata& column) {
  if (!column.buffers.empty()) {
    return MakeError(ErrorKind::kUnsupported, "a column has ", column.buffers.size(), " buffers of its own");
  }
  LEMAN_RETURN_IF_ERROR(CheckColumnEncoding(column.encoding));
  ColumnContent content;
  for (size_t i = 0; i < column.pages.size(); ++i) {
    LEMAN_ASSIGN_OR_RETURN(PageContent page, ContentOfPage(file.version, column.pages[i]));
    if (i > 0 && page.kind != content.kind) {
      return MakeError(ErrorKind::kUnsupported, "a column mixes pages of different kinds");
    }
    content.kind = page.kind;
    content.rows += column.pages[i].length;
    if (page.items > INT64_MAX - content.items) return MakeError(ErrorKind::kCorrupt, "a list has too many items");
    content.items += page.items;
    content.layers.push_back(std::move(page.layers));
  }
  return content;
}

/// Walks the schema's tree along the columns.
class LayoutWalk {
 public:
  LayoutWalk(const LanceFile& file, const std::vector<std::vector<size_t>>& children, BlobValues blob_values)
      : file_(file), children_(children), blob_values_(blob_values), roles_(file.columns.size()) {}

  Result<std::vector<ColumnRole>> Run() {
    const Expected rows{.rows = file_.descriptor.rows, .of_list = false};
    for (const size_t field : children_.back()) LEMAN_RETURN_IF_ERROR(Visit(field, rows, 0));
    if (next_column_ != file_.columns.size()) {
      return MakeError(ErrorKind::kUnsupported, "the schema describes ", next_column_, " columns, the file has ",
                       file_.columns.size());
    }
    return std::move(roles_);
  }

 private:
  struct Expected {
    uint64_t rows = 0;     ///< What a column must hold.
    bool of_list = false;  ///< They are items of a list of version 2.0.
  };

  Status Visit(size_t index, Expected expected, int depth);
  /// Version 2.0: every node has a column, and the items of a list are counted on their own.
  Status VisitArray(size_t index, Expected expected, int depth);
  Status VisitChildren(size_t index, Expected expected, int depth);
  Result<ColumnContent> VisitColumn(const SchemaField& field, Expected expected);
  /// The role of the leaf column at the end of `path_`, from version 2.1 on.
  Status SetStructLayers(const ColumnContent& content, ColumnRole& role) const;

  const LanceFile& file_;
  const std::vector<std::vector<size_t>>& children_;
  BlobValues blob_values_;
  std::vector<ColumnRole> roles_;
  size_t next_column_ = 0;
  std::vector<size_t> path_;  ///< Fields from the top to the one visited.
};

Status LayoutWalk::Visit(size_t index, Expected expected, int depth) {
  const SchemaField& field = file_.descriptor.fields[index];
  if (depth > kMaxDepth) return MakeError(ErrorKind::kUnsupported, "field ", field.name, " is nested too deeply");
  LEMAN_RETURN_IF_ERROR(CheckField(field, blob_values_));
  const bool leaf = children_[index].empty() || IsPackedStruct(field);
  if (!leaf && file_.version == LanceVersion::k2_0) return VisitArray(index, expected, depth);
  if (!leaf) return VisitChildren(index, expected, depth);
  LEMAN_ASSIGN_OR_RETURN(const ColumnContent content, VisitColumn(field, expected));
  if (content.kind != PageContent::Kind::kValues) {
    return MakeError(ErrorKind::kUnsupported, "field ", field.name, " has no children, but its pages refer to some");
  }
  path_.push_back(index);
  Status set = SetStructLayers(content, roles_[next_column_ - 1]);
  path_.pop_back();
  return set;
}

Status LayoutWalk::SetStructLayers(const ColumnContent& content, ColumnRole& role) const {
  std::vector<size_t> depths;  // Of structs that have a list inside.
  bool list_inside = false;
  for (size_t depth = path_.size(); depth-- > 0;) {
    const SchemaField& field = file_.descriptor.fields[path_[depth]];
    const bool list = IsList(field) || field.logical_type == "map";
    if (!list && list_inside && file_.version != LanceVersion::k2_0) depths.insert(depths.begin(), depth);
    list_inside = list_inside || list;
  }
  if (depths.empty()) return Ok();
  for (size_t i = 0; i < content.layers.size(); ++i) {
    const std::vector<uint64_t>& layers = content.layers[i];
    if (layers.size() != path_.size()) {
      return MakeError(ErrorKind::kUnsupported, "a page has ", layers.size(), " layers, its field ", path_.size());
    }
    std::vector<uint64_t> of_structs;
    for (const size_t depth : depths) of_structs.push_back(layers[layers.size() - 1 - depth]);
    if (i > 0 && of_structs != role.struct_layers) role.mixed_struct_layers = true;
    role.struct_layers = std::move(of_structs);
  }
  return Ok();
}

Status LayoutWalk::VisitArray(size_t index, Expected expected, int depth) {
  const SchemaField& field = file_.descriptor.fields[index];
  const size_t column = next_column_;
  LEMAN_ASSIGN_OR_RETURN(const ColumnContent content, VisitColumn(field, expected));
  const bool empty = file_.columns[column].pages.empty();
  if (IsList(field) && (content.kind == PageContent::Kind::kList || empty)) {
    return VisitChildren(index, {.rows = content.items, .of_list = true}, depth);
  }
  if (field.logical_type == "struct" && content.kind == PageContent::Kind::kStructHeader) {
    if (file_.columns[column].pages.size() != 1) {
      return MakeError(ErrorKind::kUnsupported, "struct ", field.name, " has ", file_.columns[column].pages.size(),
                       " header pages");
    }
    roles_[column].struct_header = true;
    return VisitChildren(index, expected, depth);
  }
  return MakeError(ErrorKind::kUnsupported, "field ", field.name, " of type ", field.logical_type,
                   " has pages that do not fit its type");
}

Status LayoutWalk::VisitChildren(size_t index, Expected expected, int depth) {
  path_.push_back(index);
  for (const size_t child : children_[index]) LEMAN_RETURN_IF_ERROR(Visit(child, expected, depth + 1));
  path_.pop_back();
  return Ok();
}

Result<ColumnContent> LayoutWalk::VisitColumn(const SchemaField& field, Expected expected) {
  if (next_column_ == file_.columns.size()) {
    return MakeError(ErrorKind::kUnsupported, "the schema describes more than the file's ", next_column_, " columns");
  }
  const size_t column = next_column_++;
  Result<ColumnContent> content = ContentOfColumn(file_, file_.columns[column]);
  if (!content.ok()) return content.error().WithContext("field " + field.name);
  if (content->rows != expected.rows) {
    const ErrorKind kind = expected.of_list ? ErrorKind::kUnsupported : ErrorKind::kCorrupt;
    return MakeError(kind, "field ", field.name, " has ", content->rows, " values in column ", column, ", expected ",
                     expected.rows);
  }
  return content;
}

}  // namespace

bool IsUnreadable(const std::vector<ColumnRole>& roles) {
  return std::any_of(roles.begin(), roles.end(), [](const ColumnRole& role) { return role.mixed_struct_layers; });
}

Status CheckIsDataFile(const LanceFile& file) {
  for (const SchemaField& field : file.descriptor.fields) {
    if (field.metadata.contains(std::string(kBlobValuesKey))) return CheckField(field);
  }
  return Ok();
}

Result<std::vector<ColumnRole>> RolesOfColumns(const LanceFile& file, BlobValues blob_values) {
  // What is inside of a blob has no ids of its own in Lance's files.
  for (const SchemaField& field : file.descriptor.fields) {
    if (IsBlob(field)) return CheckField(field).error();
  }
  LEMAN_ASSIGN_OR_RETURN(const std::vector<std::vector<size_t>> children, ChildrenOfFields(file.descriptor.fields));
  return LayoutWalk(file, children, blob_values).Run();
}

}  // namespace leman
