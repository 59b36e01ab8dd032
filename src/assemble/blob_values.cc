#include "assemble/blob_values.h"

#include <algorithm>
#include <optional>
#include <string>

#include "assemble/plain_encoding.h"

namespace leman {
namespace {

uint64_t IntegerAt(const std::string& bytes, size_t index, size_t width) {
  uint64_t value = 0;
  for (size_t i = width; i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes[index * width + i]);
  return value;
}

Error NotPlain() { return MakeError(ErrorKind::kUnsupported, "a page of blobs is not laid out plainly"); }
Error Impossible() { return MakeError(ErrorKind::kCorrupt, "a page of blobs says that values lie outside of it"); }

Result<std::string> ReadBuffer(const BufferRange& buffer, ByteSource& source) {
  return source.Read(static_cast<int64_t>(buffer.offset), static_cast<int64_t>(buffer.size));
}

/// Version 2.0: where each value ends, then the bytes.
Status AddPlaces20(const PlainType& type, const ColumnPage& page, ByteSource& source, std::vector<BlobPlace>& places) {
  constexpr size_t kEndBytes = 8;
  const uint64_t null_adjustment = page.buffers[1].size + 1;
  if (page.encoding != PlainEncoding20(type, null_adjustment)) return NotPlain();
  if (page.buffers[0].size % kEndBytes != 0 || page.buffers[0].size / kEndBytes != page.length) return Impossible();
  LEMAN_ASSIGN_OR_RETURN(const std::string ends, ReadBuffer(page.buffers[0], source));
  uint64_t begin = 0;
  for (size_t row = 0; row < page.length; ++row) {
    uint64_t end = IntegerAt(ends, row, kEndBytes);
    const bool null = end >= null_adjustment;
    if (null) end -= null_adjustment;
    if (end < begin || end > page.buffers[1].size || (null && end != begin)) return Impossible();
    const uint64_t size = end - begin;
    places.push_back({size > 0 ? page.buffers[1].offset + begin : 0, size, null});
    begin = end;
  }
  return Ok();
}

/// From version 2.1 on: for each value a byte that says null, where there are nulls, its length, its bytes; then where
/// each begins.
Status AddPlaces21(const PlainType& type, const ColumnPage& page, ByteSource& source, std::vector<BlobPlace>& places) {
  const auto rows = static_cast<int64_t>(page.length);
  const bool nulls = page.encoding == PlainEncoding21(type, rows, true);
  if (!nulls && page.encoding != PlainEncoding21(type, rows, false)) return NotPlain();
  if (page.length >= page.buffers[1].size) return NotPlain();
  const size_t width = page.buffers[1].size / (page.length + 1);
  if (width * (page.length + 1) != page.buffers[1].size || (width != 4 && width != 8)) return NotPlain();
  LEMAN_ASSIGN_OR_RETURN(const std::string starts, ReadBuffer(page.buffers[1], source));
  const uint64_t null_bytes = nulls ? 1 : 0;
  const uint64_t head = null_bytes + static_cast<uint64_t>(type.offset_bytes);
  uint64_t begin = IntegerAt(starts, 0, width);
  for (size_t row = 0; row < page.length; ++row) {
    const uint64_t end = IntegerAt(starts, row + 1, width);
    if (end < begin || end > page.buffers[0].size) return Impossible();
    const uint64_t size_bytes = end - begin;
    const bool null = nulls && size_bytes == null_bytes;
    if (!null && size_bytes < head) return Impossible();
    const uint64_t size = null ? 0 : size_bytes - head;
    places.push_back({size > 0 ? page.buffers[0].offset + begin + head : 0, size, null});
    begin = end;
  }
  return Ok();
}

std::optional<PlainType> TypeOfValues(const LanceFile& file) {
  if (file.columns.size() != 1 || file.descriptor.fields.size() != 1) return std::nullopt;
  const std::string& type = file.descriptor.fields.front().logical_type;
  if (type == "large_binary") return PlainType{.offset_bytes = 8};
  return std::nullopt;
}

}  // namespace

BlobForm BlobFormOf(const LanceFile& checkpoint) {
  for (const SchemaField& field : checkpoint.descriptor.fields) {
    const auto found = field.metadata.find(std::string(kBlobValuesKey));
    if (found == field.metadata.end()) continue;
    const bool alone = checkpoint.descriptor.fields.size() == 1;
    if (alone && found->second == "inside" && checkpoint.version != LanceVersion::k2_2) return BlobForm::kInside;
    if (alone && found->second == "beside" && checkpoint.version == LanceVersion::k2_2) return BlobForm::kBeside;
    return BlobForm::kOther;
  }
  return BlobForm::kNone;
}

std::string BlobFileBeside(const std::string& data_path) {
  constexpr std::string_view kSuffix = ".lance";
  std::string folder = data_path;
  if (folder.ends_with(kSuffix)) folder.resize(folder.size() - kSuffix.size());
  // The number's bits, the lowest first.
  return folder + "/10000000000000000000000000000000.blob";
}

Result<std::vector<BlobPlace>> PlacesOfBlobs(const LanceFile& file, ByteSource& source) {
  const std::optional<PlainType> type = TypeOfValues(file);
  if (!type) return NotPlain();
  std::vector<BlobPlace> places;
  for (const ColumnPage& page : file.columns.front().pages) {
    // A description repeats the number of rows, so a page that lies about it is not plain.
    if (page.buffers.size() != 2) return NotPlain();
    LEMAN_RETURN_IF_ERROR(file.version == LanceVersion::k2_0 ? AddPlaces20(*type, page, source, places)
                                                             : AddPlaces21(*type, page, source, places));
  }
  if (places.size() != file.descriptor.rows) {
    return MakeError(ErrorKind::kCorrupt, "pages hold ", places.size(), " blobs, expected ", file.descriptor.rows);
  }
  return places;
}

}  // namespace leman
