#include "assemble/testing/synthetic_file.h"

#include "assemble/proto_wire.h"

namespace leman::testing {

std::string WrapEncoding(std::string_view url, std::string_view content) {
  WireWriter any;
  any.Bytes(1, url);
  any.Bytes(2, content);
  WireWriter direct;
  direct.Bytes(1, std::move(any).Take());
  WireWriter encoding;
  encoding.Bytes(2, std::move(direct).Take());
  return std::move(encoding).Take();
}

std::string PageLayoutEncoding(uint32_t layout) {
  WireWriter content;
  content.Bytes(layout, "");
  return WrapEncoding("/lance.encodings21.PageLayout", std::move(content).Take());
}

std::string PlainColumnEncoding() {
  WireWriter content;
  content.Bytes(1, "");
  return WrapEncoding("/lance.encodings.ColumnEncoding", std::move(content).Take());
}

SchemaField FieldOf(const SyntheticFile& file) {
  WireWriter out;
  out.Bytes(2, "c");
  out.Uint64(4, ~uint64_t{0});  // No parent.
  out.Bytes(5, file.logical_type);
  out.Uint64(6, 1);
  for (const auto& [key, value] : file.field_metadata) {
    WireWriter entry;
    entry.Bytes(1, key);
    entry.Bytes(2, value);
    out.Bytes(10, std::move(entry).Take());
  }
  SchemaField field;
  field.raw = std::move(out).Take();
  return field;
}

std::string Build(const SyntheticFile& file) {
  std::string bytes;
  const auto align = [&bytes] {
    bytes.resize((bytes.size() + kBufferAlignment - 1) / kBufferAlignment * kBufferAlignment);
  };
  SchemaDescriptor descriptor;
  descriptor.fields.push_back(FieldOf(file));
  descriptor.metadata = file.metadata;
  ColumnMetadata column;
  column.encoding = PlainColumnEncoding();
  for (const SyntheticPage& page : file.pages) {
    if (!column.pages.empty()) bytes.resize(bytes.size() + file.gap);
    ColumnPage& added = column.pages.emplace_back();
    added.length = page.rows;
    added.priority = descriptor.rows;
    added.encoding = PageLayoutEncoding(1);
    descriptor.rows += page.rows;
    for (const std::string& buffer : page.buffers) {
      align();
      added.buffers.push_back({bytes.size(), buffer.size()});
      bytes += buffer;
    }
  }
  align();
  return bytes + EncodeLanceTail(file.version, bytes.size(), descriptor, {column});
}

}  // namespace leman::testing
