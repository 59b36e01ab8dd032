#include "assemble/verify_assembled.h"

#include <algorithm>
#include <memory>

#include "assemble/byte_source.h"
#include "assemble/column_layout.h"
#include "assemble/parallel_pieces.h"
#include "assemble/posix_file.h"
#include "base/crc32c.h"

namespace leman {
namespace {

constexpr int64_t kBlockBytes = 512 << 10;

Result<LanceFile> ReadTail(const std::string& path) {
  LEMAN_ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> source, OpenLocalFile(path));
  Result<LanceFile> file = ReadLanceFile(*source);
  if (!file.ok()) return file.error().WithContext(path);
  return file;
}

/// A file whose columns are of a kind that cannot be joined is still a good file.
Status CheckColumns(const LanceFile& file, const std::string& path) {
  const Result<std::vector<ColumnRole>> roles = RolesOfColumns(file);
  if (!roles.ok() && roles.error().kind != ErrorKind::kUnsupported) return roles.error().WithContext(path);
  return Ok();
}

Status Compare(const std::string& path, std::string_view what, int64_t found, int64_t expected) {
  if (found == expected) return Ok();
  return MakeError(ErrorKind::kCorrupt, path, ": ", what, " is ", found, ", expected ", expected);
}

Result<uint32_t> ChecksumOfRange(const PosixFile& file, int64_t position, int64_t length, uint32_t crc,
                                 const std::atomic<bool>* cancel) {
  std::string block(static_cast<size_t>(std::min(kBlockBytes, length)), '\0');
  for (int64_t done = 0; done < length;) {
    if (cancel != nullptr && *cancel) return MakeError(ErrorKind::kCancelled, "verification was cancelled");
    const auto n = static_cast<size_t>(std::min(kBlockBytes, length - done));
    LEMAN_RETURN_IF_ERROR(file.ReadAt(position + done, block.data(), n));
    crc = Crc32c(block.data(), n, crc);
    done += static_cast<int64_t>(n);
  }
  return crc;
}

Status VerifyPiece(const PosixFile& file, const CopiedPiece& piece, const std::atomic<bool>* cancel) {
  LEMAN_ASSIGN_OR_RETURN(const uint32_t crc, ChecksumOfRange(file, piece.position, piece.length, 0, cancel));
  if (crc == piece.crc) return Ok();
  return MakeError(ErrorKind::kCorrupt, file.path(), ": the ", piece.length, " bytes at ", piece.position,
                   " are not those of the checkpoint");
}

}  // namespace

Result<uint32_t> ChecksumOfFile(const PosixFile& bytes, const LanceFile& file, const std::atomic<bool>* cancel) {
  uint32_t crc = 0;
  for (const ColumnMetadata& column : file.columns) {
    for (const ColumnPage& page : column.pages) {
      for (const BufferRange& buffer : page.buffers) {
        LEMAN_ASSIGN_OR_RETURN(crc, ChecksumOfRange(bytes, static_cast<int64_t>(buffer.offset),
                                                    static_cast<int64_t>(buffer.size), crc, cancel));
      }
    }
  }
  const auto tail = static_cast<int64_t>(file.global_buffers.front().offset);
  return ChecksumOfRange(bytes, tail, file.size_bytes - tail, crc, cancel);
}

int64_t CountPages(const LanceFile& file) {
  int64_t pages = 0;
  for (const ColumnMetadata& column : file.columns) pages += static_cast<int64_t>(column.pages.size());
  return pages;
}

Status CheckAssembled(const LanceFile& file, const std::string& path, const AssembledExpectations& expected) {
  LEMAN_RETURN_IF_ERROR(Compare(path, "its size in bytes", file.size_bytes, expected.size_bytes));
  LEMAN_RETURN_IF_ERROR(Compare(path, "its number of rows", static_cast<int64_t>(file.descriptor.rows), expected.rows));
  LEMAN_RETURN_IF_ERROR(
      Compare(path, "its number of columns", static_cast<int64_t>(file.columns.size()), expected.columns));
  if (file.version != expected.version) return MakeError(ErrorKind::kCorrupt, path, ": its file version is wrong");
  LEMAN_RETURN_IF_ERROR(Compare(path, "its number of pages", CountPages(file), expected.pages));
  return CheckColumns(file, path);
}

Status CheckReencoded(const LanceFile& file, const std::string& path, int64_t rows) {
  LEMAN_RETURN_IF_ERROR(Compare(path, "its number of rows", static_cast<int64_t>(file.descriptor.rows), rows));
  return CheckColumns(file, path);
}

Result<LanceFile> VerifyAssembled(const std::string& path, const AssembledExpectations& expected) {
  LEMAN_ASSIGN_OR_RETURN(LanceFile file, ReadTail(path));
  LEMAN_RETURN_IF_ERROR(CheckAssembled(file, path, expected));
  LEMAN_ASSIGN_OR_RETURN(const PosixFile bytes, PosixFile::OpenForReading(path));
  LEMAN_RETURN_IF_ERROR(ForEachPiece(expected.pieces.size(), expected.threads, [&]() -> PieceWorker {
    return [&](size_t piece) { return VerifyPiece(bytes, expected.pieces[piece], expected.cancel); };
  }));
  return file;
}

}  // namespace leman
