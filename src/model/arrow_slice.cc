#include "model/arrow_slice.h"

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "model/arrow_layout.h"

namespace leman {
namespace {

void ReleaseColumnView(ArrowArray* array) {
  const std::unique_ptr<SharedArray> owner(static_cast<SharedArray*>(array->private_data));
  array->release = nullptr;
}

// A view of one column: the column's own buffers and children, with another offset and length.
ArrowArray ViewColumn(const SharedArray& batch, int64_t column, int64_t offset, int64_t length) {
  ArrowArray view = *batch->get()->children[column];
  view.offset += batch->get()->offset + offset;
  const bool whole = offset == 0 && length == view.length;
  view.length = length;
  if (!whole && view.null_count != 0) view.null_count = -1;
  view.private_data = std::make_unique<SharedArray>(batch).release();
  view.release = ReleaseColumnView;
  return view;
}

struct StructView {
  std::vector<ArrowArray> columns;
  std::vector<ArrowArray*> pointers;
  std::array<const void*, 1> buffers = {nullptr};
};

void ReleaseStructView(ArrowArray* array) {
  const std::unique_ptr<StructView> owner(static_cast<StructView*>(array->private_data));
  for (ArrowArray& column : owner->columns) {
    if (column.release != nullptr) column.release(&column);
  }
  array->release = nullptr;
}

struct SchemaCopy {
  std::string format;
  std::string name;
  std::vector<OwnedSchema> children;
  std::vector<ArrowSchema*> pointers;
  OwnedSchema dictionary;
};

void ReleaseSchemaCopy(ArrowSchema* schema) {
  const std::unique_ptr<SchemaCopy> owner(static_cast<SchemaCopy*>(schema->private_data));
  schema->release = nullptr;
}

OwnedSchema CopySchema(const ArrowSchema& source, int64_t children) {
  auto copy = std::make_unique<SchemaCopy>();
  copy->format = source.format;
  copy->name = source.name == nullptr ? "" : source.name;
  for (int64_t i = 0; i < children; ++i) {
    copy->children.push_back(CopySchema(*source.children[i], source.children[i]->n_children));
  }
  for (OwnedSchema& child : copy->children) copy->pointers.push_back(child.get());
  if (source.dictionary != nullptr) copy->dictionary = CopySchema(*source.dictionary, source.dictionary->n_children);
  ArrowSchema schema{};
  schema.format = copy->format.c_str();
  schema.name = copy->name.c_str();
  schema.flags = source.flags;
  schema.n_children = children;
  schema.children = copy->pointers.data();
  schema.dictionary = source.dictionary == nullptr ? nullptr : copy->dictionary.get();
  schema.private_data = copy.release();
  schema.release = ReleaseSchemaCopy;
  return OwnedSchema(&schema);
}

template <typename Offset>
std::pair<int64_t, int64_t> OffsetSpan(const ArrowArray& array) {
  const auto* offsets = static_cast<const Offset*>(array.buffers[1]);
  if (offsets == nullptr || array.length == 0) return {0, 0};
  return {offsets[array.offset], offsets[array.offset + array.length]};
}

int64_t RangeBytes(const ArrowSchema& schema, const ArrowArray& array, int64_t offset, int64_t length) {
  ArrowArray part = array;  // borrowed, never released
  part.offset += offset;
  part.length = length;
  return ArrayBytes(schema, part);
}

int64_t NestedBytes(std::string_view format, const ArrowSchema& schema, const ArrowArray& array) {
  int64_t bytes = 0;
  if (format == "+l" || format == "+L" || format == "+m") {
    const auto [first, last] = format == "+L" ? OffsetSpan<int64_t>(array) : OffsetSpan<int32_t>(array);
    bytes = array.length * (format == "+L" ? 8 : 4);
    return bytes + RangeBytes(*schema.children[0], *array.children[0], first, last - first);
  }
  if (format.starts_with("+w:")) {
    const int64_t size = std::atoll(std::string(format.substr(3)).c_str());
    return RangeBytes(*schema.children[0], *array.children[0], array.offset * size, array.length * size);
  }
  for (int64_t i = 0; i < array.n_children; ++i) {
    const bool sliced = format == "+s";
    bytes += RangeBytes(*schema.children[i], *array.children[i], sliced ? array.offset : 0,
                        sliced ? array.length : array.children[i]->length);
  }
  return bytes;
}

}  // namespace

OwnedArray SliceColumn(const SharedArray& batch, int64_t column, int64_t offset, int64_t length) {
  ArrowArray view = ViewColumn(batch, column, offset, length);
  return OwnedArray(&view);
}

OwnedArray SliceColumns(const SharedArray& batch, int64_t first_column, int64_t last_column, int64_t offset,
                        int64_t length) {
  auto view = std::make_unique<StructView>();
  for (int64_t i = first_column; i < last_column; ++i) view->columns.push_back(ViewColumn(batch, i, offset, length));
  for (ArrowArray& column : view->columns) view->pointers.push_back(&column);
  ArrowArray array{};
  array.length = length;
  array.n_buffers = 1;
  array.buffers = view->buffers.data();
  array.n_children = last_column - first_column;
  array.children = view->pointers.data();
  array.private_data = view.release();
  array.release = ReleaseStructView;
  return OwnedArray(&array);
}

OwnedSchema FirstColumns(const ArrowSchema& schema, int64_t last_column) { return CopySchema(schema, last_column); }

int64_t ArrayBytes(const ArrowSchema& schema, const ArrowArray& array) {
  const std::string_view format = schema.format;
  const int64_t validity = array.null_count == 0 ? 0 : (array.length + 7) / 8;
  if (array.dictionary != nullptr) {
    return validity + (array.length * FixedBits(format) + 7) / 8 + ArrayBytes(*schema.dictionary, *array.dictionary);
  }
  if (const int64_t bits = FixedBits(format); bits > 0) return validity + (array.length * bits + 7) / 8;
  if (format == "u" || format == "z") {
    const auto [first, last] = OffsetSpan<int32_t>(array);
    return validity + array.length * 4 + last - first;
  }
  if (format == "U" || format == "Z") {
    const auto [first, last] = OffsetSpan<int64_t>(array);
    return validity + array.length * 8 + last - first;
  }
  if (format == "vu" || format == "vz") {
    const auto* views = static_cast<const int32_t*>(array.buffers[1]);
    int64_t bytes = validity + array.length * 16;
    for (int64_t i = 0; i < array.length; ++i) {
      const int32_t size = views[(array.offset + i) * 4];
      if (size > 12) bytes += size;
    }
    return bytes;
  }
  if (format.starts_with('+')) return validity + NestedBytes(format, schema, array);
  return validity;
}

}  // namespace leman
