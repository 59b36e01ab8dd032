#include "assemble/lance_file.h"

#include <algorithm>
#include <limits>

namespace leman {
namespace {

constexpr uint64_t kFooterBytes = 40;
constexpr uint64_t kTableEntryBytes = 16;
constexpr int64_t kTailReadBytes = 64 << 10;
constexpr std::string_view kMagic = "LANC";

template <typename Int>
Int LoadLittleEndian(std::string_view bytes, size_t offset) {
  Int value = 0;
  for (size_t i = 0; i < sizeof(Int); ++i) {
    value = static_cast<Int>(value | static_cast<Int>(Int{static_cast<uint8_t>(bytes[offset + i])} << (8 * i)));
  }
  return value;
}

template <typename Int>
void StoreLittleEndian(Int value, std::string& out) {
  for (size_t i = 0; i < sizeof(Int); ++i) out.push_back(static_cast<char>((value >> (8 * i)) & 0xff));
}

struct Footer {
  uint64_t column_metadata_start = 0;
  uint64_t column_table_start = 0;
  uint64_t global_table_start = 0;
  uint32_t global_buffers = 0;
  uint32_t columns = 0;
  LanceVersion version = LanceVersion::k2_2;
};

template <typename... Parts>
Error Corrupt(const Parts&... parts) {
  return MakeError(ErrorKind::kCorrupt, parts...);
}

/// Serves ranges of a file, from its last bytes in memory where they cover them.
class TailReader {
 public:
  explicit TailReader(ByteSource& source) : source_(source) {}

  Status LoadTail() {
    tail_start_ = std::max<int64_t>(0, source_.size_bytes() - kTailReadBytes);
    LEMAN_ASSIGN_OR_RETURN(tail_, source_.Read(tail_start_, source_.size_bytes() - tail_start_));
    return Ok();
  }
  /// `offset` and `length` are known to lie in the file.
  Result<std::string> Read(uint64_t offset, uint64_t length) {
    const auto start = static_cast<int64_t>(offset);
    if (start >= tail_start_) {
      return tail_.substr(static_cast<size_t>(start - tail_start_), static_cast<size_t>(length));
    }
    return source_.Read(start, static_cast<int64_t>(length));
  }
  [[nodiscard]] std::string_view tail() const { return tail_; }

 private:
  ByteSource& source_;
  int64_t tail_start_ = 0;
  std::string tail_;
};

Result<LanceVersion> VersionOf(uint16_t major, uint16_t minor) {
  for (const LanceVersion version : {LanceVersion::k2_0, LanceVersion::k2_1, LanceVersion::k2_2}) {
    if (FooterVersion(version) == VersionNumbers{major, minor}) return version;
    if (DataFileVersion(version) == VersionNumbers{major, minor}) return version;
  }
  return MakeError(ErrorKind::kUnsupported, "Lance file version ", major, ".", minor, " is not one of 2.0, 2.1, 2.2");
}

Result<Footer> ParseFooter(std::string_view tail, uint64_t file_size) {
  if (tail.size() < kFooterBytes) return Corrupt("the file has ", file_size, " bytes: too short for a Lance file");
  const std::string_view bytes = tail.substr(tail.size() - kFooterBytes);
  if (bytes.substr(36) != kMagic) return Corrupt("the file does not end with LANC");
  Footer footer;
  LEMAN_ASSIGN_OR_RETURN(footer.version,
                         VersionOf(LoadLittleEndian<uint16_t>(bytes, 32), LoadLittleEndian<uint16_t>(bytes, 34)));
  footer.column_metadata_start = LoadLittleEndian<uint64_t>(bytes, 0);
  footer.column_table_start = LoadLittleEndian<uint64_t>(bytes, 8);
  footer.global_table_start = LoadLittleEndian<uint64_t>(bytes, 16);
  footer.global_buffers = LoadLittleEndian<uint32_t>(bytes, 24);
  footer.columns = LoadLittleEndian<uint32_t>(bytes, 28);
  const uint64_t end = file_size - kFooterBytes;
  if (footer.global_table_start > end || footer.column_table_start > footer.global_table_start ||
      footer.column_metadata_start > footer.column_table_start) {
    return Corrupt("the footer's positions are not in order inside the file");
  }
  if (footer.columns == 0 || footer.global_buffers == 0) return Corrupt("the file has no column or no schema");
  if (footer.columns > (footer.global_table_start - footer.column_table_start) / kTableEntryBytes) {
    return Corrupt("the column table has no room for ", footer.columns, " columns");
  }
  if (footer.global_buffers > (end - footer.global_table_start) / kTableEntryBytes) {
    return Corrupt("the global buffer table has no room for ", footer.global_buffers, " buffers");
  }
  return footer;
}

/// True if `range` lies in [begin, end).
bool Inside(const BufferRange& range, uint64_t begin, uint64_t end) {
  return range.offset >= begin && range.offset <= end && range.size <= end - range.offset;
}

Result<std::vector<BufferRange>> ReadTable(TailReader& reader, uint64_t start, uint32_t entries) {
  LEMAN_ASSIGN_OR_RETURN(const std::string bytes, reader.Read(start, entries * kTableEntryBytes));
  std::vector<BufferRange> table(entries);
  for (size_t i = 0; i < entries; ++i) {
    table[i].offset = LoadLittleEndian<uint64_t>(bytes, i * kTableEntryBytes);
    table[i].size = LoadLittleEndian<uint64_t>(bytes, i * kTableEntryBytes + 8);
  }
  return table;
}

Status ReadGlobalBuffers(TailReader& reader, const Footer& footer, LanceFile& file) {
  LEMAN_ASSIGN_OR_RETURN(file.global_buffers, ReadTable(reader, footer.global_table_start, footer.global_buffers));
  for (size_t i = 0; i < file.global_buffers.size(); ++i) {
    const BufferRange& buffer = file.global_buffers[i];
    if (!Inside(buffer, 0, footer.column_metadata_start)) {
      return Corrupt("global buffer ", i, " does not lie before the column metadata");
    }
    if (file.version != LanceVersion::k2_0 && buffer.offset % kBufferAlignment != 0) {
      return Corrupt("global buffer ", i, " is not aligned");
    }
  }
  const BufferRange& schema = file.global_buffers.front();
  LEMAN_ASSIGN_OR_RETURN(const std::string bytes, reader.Read(schema.offset, schema.size));
  LEMAN_ASSIGN_OR_RETURN(file.descriptor, ParseSchemaDescriptor(bytes));
  if (file.descriptor.rows > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    return Corrupt("the schema says ", file.descriptor.rows, " rows");
  }
  return Ok();
}

Status CheckBuffers(const std::vector<BufferRange>& buffers, uint64_t end, LanceVersion version) {
  for (const BufferRange& buffer : buffers) {
    if (!Inside(buffer, 0, end)) {
      return Corrupt("a buffer of ", buffer.size, " bytes at ", buffer.offset, " does not lie before the schema");
    }
    if (version != LanceVersion::k2_0 && buffer.offset % kBufferAlignment != 0) {
      return Corrupt("a buffer at ", buffer.offset, " is not aligned");
    }
  }
  return Ok();
}

Status CheckColumn(const ColumnMetadata& column, uint64_t pages_end, LanceVersion version) {
  LEMAN_RETURN_IF_ERROR(CheckBuffers(column.buffers, pages_end, version));
  uint64_t length = 0;
  for (const ColumnPage& page : column.pages) {
    LEMAN_RETURN_IF_ERROR(CheckBuffers(page.buffers, pages_end, version));
    constexpr auto kMaxRows = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
    if (page.length > kMaxRows - length || page.priority > kMaxRows) return Corrupt("the pages have too many rows");
    length += page.length;
  }
  return Ok();
}

Status ReadColumns(TailReader& reader, const Footer& footer, LanceFile& file) {
  LEMAN_ASSIGN_OR_RETURN(const std::vector<BufferRange> table,
                         ReadTable(reader, footer.column_table_start, footer.columns));
  uint64_t begin = footer.column_metadata_start;
  for (size_t i = 0; i < table.size(); ++i) {
    if (!Inside(table[i], begin, footer.column_table_start)) {
      return Corrupt("the metadata of column ", i, " is out of place");
    }
    begin = table[i].offset + table[i].size;
    LEMAN_ASSIGN_OR_RETURN(const std::string bytes, reader.Read(table[i].offset, table[i].size));
    Result<ColumnMetadata> column = ParseColumnMetadata(bytes);
    if (!column.ok()) return column.error().WithContext("column " + std::to_string(i));
    if (Status checked = CheckColumn(*column, file.global_buffers.front().offset, file.version); !checked.ok()) {
      return checked.error().WithContext("column " + std::to_string(i));
    }
    file.columns.push_back(std::move(column).value());
  }
  return Ok();
}

}  // namespace

VersionNumbers DataFileVersion(LanceVersion version) {
  switch (version) {
    case LanceVersion::k2_0:
      return {2, 0};
    case LanceVersion::k2_1:
      return {2, 1};
    case LanceVersion::k2_2:
      break;
  }
  return {2, 2};
}

VersionNumbers FooterVersion(LanceVersion version) {
  return version == LanceVersion::k2_0 ? VersionNumbers{0, 3} : DataFileVersion(version);
}

Result<LanceFile> ReadLanceFile(ByteSource& source) {
  TailReader reader(source);
  LEMAN_RETURN_IF_ERROR(reader.LoadTail());
  LEMAN_ASSIGN_OR_RETURN(const Footer footer, ParseFooter(reader.tail(), static_cast<uint64_t>(source.size_bytes())));
  LanceFile file;
  file.version = footer.version;
  file.size_bytes = source.size_bytes();
  LEMAN_RETURN_IF_ERROR(ReadGlobalBuffers(reader, footer, file));
  LEMAN_RETURN_IF_ERROR(ReadColumns(reader, footer, file));
  return file;
}

std::string EncodeLanceTail(LanceVersion version, uint64_t position, const SchemaDescriptor& descriptor,
                            const std::vector<ColumnMetadata>& columns) {
  std::string out = EncodeSchemaDescriptor(descriptor);
  const uint64_t descriptor_size = out.size();
  const uint64_t column_metadata_start = position + out.size();
  std::string column_table;
  for (const ColumnMetadata& column : columns) {
    const std::string bytes = EncodeColumnMetadata(column);
    StoreLittleEndian<uint64_t>(position + out.size(), column_table);
    StoreLittleEndian<uint64_t>(bytes.size(), column_table);
    out += bytes;
  }
  const uint64_t column_table_start = position + out.size();
  out += column_table;
  const uint64_t global_table_start = position + out.size();
  StoreLittleEndian<uint64_t>(position, out);
  StoreLittleEndian<uint64_t>(descriptor_size, out);
  StoreLittleEndian<uint64_t>(column_metadata_start, out);
  StoreLittleEndian<uint64_t>(column_table_start, out);
  StoreLittleEndian<uint64_t>(global_table_start, out);
  StoreLittleEndian<uint32_t>(1, out);
  StoreLittleEndian<uint32_t>(static_cast<uint32_t>(columns.size()), out);
  const VersionNumbers numbers = FooterVersion(version);
  StoreLittleEndian<uint16_t>(static_cast<uint16_t>(numbers.major), out);
  StoreLittleEndian<uint16_t>(static_cast<uint16_t>(numbers.minor), out);
  out += kMagic;
  return out;
}

}  // namespace leman
