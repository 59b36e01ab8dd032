#include "assemble/column_metadata.h"

#include "assemble/proto_wire.h"

namespace leman {
namespace {

// Field numbers of file2.proto: ColumnMetadata, then its Page.
constexpr uint32_t kColumnEncoding = 1;
constexpr uint32_t kColumnPages = 2;
constexpr uint32_t kColumnBufferOffsets = 3;
constexpr uint32_t kColumnBufferSizes = 4;
constexpr uint32_t kPageBufferOffsets = 1;
constexpr uint32_t kPageBufferSizes = 2;
constexpr uint32_t kPageLength = 3;
constexpr uint32_t kPageEncoding = 4;
constexpr uint32_t kPagePriority = 5;

Error UnknownField(std::string_view message, uint32_t number) {
  return MakeError(ErrorKind::kUnsupported, message, " has field ", number, ", which this version does not know");
}

Result<std::vector<BufferRange>> ZipBuffers(const std::vector<uint64_t>& offsets, const std::vector<uint64_t>& sizes) {
  if (offsets.size() != sizes.size()) {
    return MakeError(ErrorKind::kCorrupt, offsets.size(), " buffer offsets but ", sizes.size(), " buffer sizes");
  }
  std::vector<BufferRange> buffers;
  buffers.reserve(offsets.size());
  for (size_t i = 0; i < offsets.size(); ++i) buffers.push_back({offsets[i], sizes[i]});
  return buffers;
}

void WriteBuffers(const std::vector<BufferRange>& buffers, uint32_t offsets_number, uint32_t sizes_number,
                  WireWriter& out) {
  std::vector<uint64_t> offsets;
  std::vector<uint64_t> sizes;
  for (const BufferRange& buffer : buffers) {
    offsets.push_back(buffer.offset);
    sizes.push_back(buffer.size);
  }
  out.PackedUint64s(offsets_number, offsets);
  out.PackedUint64s(sizes_number, sizes);
}

Result<ColumnPage> ParsePage(std::string_view message) {
  ColumnPage page;
  std::vector<uint64_t> offsets;
  std::vector<uint64_t> sizes;
  SingleFields single;
  WireReader reader(message);
  while (!reader.done()) {
    LEMAN_ASSIGN_OR_RETURN(const WireField field, reader.Next());
    switch (field.number) {
      case kPageBufferOffsets:
        LEMAN_RETURN_IF_ERROR(AppendUint64s(field, offsets));
        break;
      case kPageBufferSizes:
        LEMAN_RETURN_IF_ERROR(AppendUint64s(field, sizes));
        break;
      case kPageLength:
        LEMAN_RETURN_IF_ERROR(single.Accept(field, WireType::kVarint));
        page.length = field.value;
        break;
      case kPageEncoding:
        LEMAN_RETURN_IF_ERROR(single.Accept(field, WireType::kBytes));
        page.encoding = field.bytes;
        break;
      case kPagePriority:
        LEMAN_RETURN_IF_ERROR(single.Accept(field, WireType::kVarint));
        page.priority = field.value;
        break;
      default:
        return UnknownField("a page", field.number);
    }
  }
  LEMAN_ASSIGN_OR_RETURN(page.buffers, ZipBuffers(offsets, sizes));
  return page;
}

std::string EncodePage(const ColumnPage& page) {
  WireWriter out;
  WriteBuffers(page.buffers, kPageBufferOffsets, kPageBufferSizes, out);
  out.Uint64(kPageLength, page.length);
  if (!page.encoding.empty()) out.Bytes(kPageEncoding, page.encoding);
  out.Uint64(kPagePriority, page.priority);
  return std::move(out).Take();
}

}  // namespace

Result<ColumnMetadata> ParseColumnMetadata(std::string_view message) {
  ColumnMetadata column;
  std::vector<uint64_t> offsets;
  std::vector<uint64_t> sizes;
  SingleFields single;
  WireReader reader(message);
  while (!reader.done()) {
    LEMAN_ASSIGN_OR_RETURN(const WireField field, reader.Next());
    switch (field.number) {
      case kColumnEncoding:
        LEMAN_RETURN_IF_ERROR(single.Accept(field, WireType::kBytes));
        column.encoding = field.bytes;
        break;
      case kColumnPages: {
        if (field.type != WireType::kBytes) return MakeError(ErrorKind::kCorrupt, "a page is not a message");
        LEMAN_ASSIGN_OR_RETURN(ColumnPage page, ParsePage(field.bytes));
        column.pages.push_back(std::move(page));
        break;
      }
      case kColumnBufferOffsets:
        LEMAN_RETURN_IF_ERROR(AppendUint64s(field, offsets));
        break;
      case kColumnBufferSizes:
        LEMAN_RETURN_IF_ERROR(AppendUint64s(field, sizes));
        break;
      default:
        return UnknownField("column metadata", field.number);
    }
  }
  LEMAN_ASSIGN_OR_RETURN(column.buffers, ZipBuffers(offsets, sizes));
  return column;
}

std::string EncodeColumnMetadata(const ColumnMetadata& column) {
  WireWriter out;
  if (!column.encoding.empty()) out.Bytes(kColumnEncoding, column.encoding);
  for (const ColumnPage& page : column.pages) out.Bytes(kColumnPages, EncodePage(page));
  WriteBuffers(column.buffers, kColumnBufferOffsets, kColumnBufferSizes, out);
  return std::move(out).Take();
}

}  // namespace leman
