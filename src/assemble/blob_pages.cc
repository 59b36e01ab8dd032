#include "assemble/blob_pages.h"

#include <algorithm>
#include <array>
#include <utility>

#include "assemble/plain_encoding.h"
#include "assemble/proto_wire.h"

namespace leman {
namespace {

/// Readers load all positions of a page at once.
constexpr size_t kMostRowsOfPage = 256 << 10;
constexpr size_t kPlaceBytes = 16;

void Append(uint64_t value, size_t width, std::string& out) {
  for (size_t i = 0; i < width; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

/// A null has the position `null`, and nothing else.
void AppendPlaces(std::span<const BlobPlace> places, uint64_t null, std::string& out) {
  for (const BlobPlace& place : places) {
    Append(place.null ? null : place.position, 8, out);
    Append(place.size, 8, out);
  }
}

/// Begins a buffer of `page` at the end of `bytes`, which begins at `position`.
void BeginBuffer(uint64_t position, std::string& bytes, ColumnPage& page) {
  bytes.resize((bytes.size() + kBufferAlignment - 1) / kBufferAlignment * kBufferAlignment, '\0');
  page.buffers.push_back({position + bytes.size(), 0});
}
void EndBuffer(uint64_t position, const std::string& bytes, ColumnPage& page) {
  page.buffers.back().size = position + bytes.size() - page.buffers.back().offset;
}

/// encodings_v2_0.proto: PackedStruct of position and size.
void AddPage20(std::span<const BlobPlace> places, uint64_t position, std::string& bytes, ColumnPage& page) {
  constexpr uint64_t kNull = 1;
  BeginBuffer(position, bytes, page);
  AppendPlaces(places, kNull, bytes);
  EndBuffer(position, bytes, page);
  WireWriter packed;
  packed.Bytes(1, WithoutNulls20(FlatArray20(64, 0)));
  packed.Bytes(1, WithoutNulls20(FlatArray20(64, 0)));
  packed.Bytes(2, "");
  page.encoding = DirectEncoding(kArrayEncodingUrl, WireMessage(9, std::move(packed).Take()));
}

/// encodings_v2_1.proto: BlobLayout, around a MiniBlockLayout of a PackedStruct.
std::string BlobLayout(size_t rows) {
  constexpr std::array<uint64_t, 1> kAllValidLayer = {1};
  constexpr std::array<uint64_t, 1> kNullableLayer = {3};
  constexpr std::array<uint64_t, 2> kBits = {64, 64};
  WireWriter flat;
  flat.Uint64(1, 8 * kPlaceBytes);
  WireWriter packed;
  packed.PackedUint64s(1, kBits);
  packed.Bytes(2, WireMessage(1, std::move(flat).Take()));
  WireWriter blocks;
  blocks.Bytes(3, WireMessage(12, std::move(packed).Take()));
  blocks.PackedUint64s(6, kAllValidLayer);
  blocks.Uint64(7, 1);
  blocks.Uint64(9, rows);
  WireWriter blob;
  blob.Bytes(1, WireMessage(1, std::move(blocks).Take()));
  blob.PackedUint64s(2, kNullableLayer);
  return DirectEncoding(kPageLayoutUrl, WireMessage(4, std::move(blob).Take()));
}

/// Chunks of 256 places. Each begins with 8 bytes: no levels, the size of what follows, padding; a buffer before them
/// has for each its size in words of 8 bytes, less one, and the logarithm of its places, which is 0 for the last.
void AddPage21(std::span<const BlobPlace> places, uint64_t position, std::string& bytes, ColumnPage& page) {
  constexpr uint64_t kNull = uint64_t{1} << 16;
  constexpr size_t kPlacesOfChunk = 256;
  constexpr size_t kLogPlacesOfChunk = 8;
  constexpr size_t kHeadBytes = 8;
  BeginBuffer(position, bytes, page);
  for (size_t begin = 0; begin < places.size(); begin += kPlacesOfChunk) {
    const size_t count = std::min(kPlacesOfChunk, places.size() - begin);
    const size_t words = (kHeadBytes + count * kPlaceBytes) / 8;
    const bool last = begin + count == places.size();
    Append((words - 1) << 4 | (last ? 0 : kLogPlacesOfChunk), 2, bytes);
  }
  EndBuffer(position, bytes, page);
  BeginBuffer(position, bytes, page);
  for (size_t begin = 0; begin < places.size(); begin += kPlacesOfChunk) {
    const auto chunk = places.subspan(begin, std::min(kPlacesOfChunk, places.size() - begin));
    Append(0, 2, bytes);
    Append(chunk.size() * kPlaceBytes, 2, bytes);
    Append(0, 4, bytes);
    AppendPlaces(chunk, kNull, bytes);
  }
  EndBuffer(position, bytes, page);
  page.encoding = BlobLayout(places.size());
}

/// Lance (14.0) reads the blobs of a page only where their positions rise, as those of each checkpoint do.
size_t RowsOfPage(std::span<const BlobPlace> places) {
  uint64_t last = 0;
  size_t rows = 0;
  for (; rows < std::min(kMostRowsOfPage, places.size()); ++rows) {
    if (places[rows].size == 0) continue;
    if (places[rows].position < last) break;
    last = places[rows].position;
  }
  return rows;
}

}  // namespace

BlobColumn MakeBlobColumn(LanceVersion version, std::span<const BlobPlace> places, uint64_t position) {
  const std::string values = WireMessage(1, "");  // ColumnEncoding: just its pages.
  BlobColumn made;
  made.column.encoding = DirectEncoding(
      kColumnEncodingUrl, version == LanceVersion::k2_0 ? WireMessage(3, WireMessage(1, values)) : values);
  for (size_t begin = 0; begin < places.size();) {
    const auto rows = places.subspan(begin, RowsOfPage(places.subspan(begin)));
    ColumnPage& page = made.column.pages.emplace_back();
    page.length = rows.size();
    page.priority = begin;
    version == LanceVersion::k2_0 ? AddPage20(rows, position, made.bytes, page)
                                  : AddPage21(rows, position, made.bytes, page);
    begin += rows.size();
  }
  return made;
}

SchemaField BlobFieldOf(const SchemaField& checkpoint) {
  std::map<std::string, std::string> metadata = checkpoint.metadata;
  std::erase_if(metadata, [](const auto& entry) { return entry.first.starts_with(kCheckpointKeyPrefix); });
  metadata["lance-encoding:blob"] = "true";
  return WithMetadata(checkpoint, std::move(metadata));
}

}  // namespace leman
