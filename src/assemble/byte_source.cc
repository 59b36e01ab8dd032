#include "assemble/byte_source.h"

#include "assemble/posix_file.h"

namespace leman {
namespace {

class LocalFileSource final : public ByteSource {
 public:
  LocalFileSource(PosixFile file, int64_t size_bytes) : file_(std::move(file)), size_bytes_(size_bytes) {}
  [[nodiscard]] int64_t size_bytes() const override { return size_bytes_; }
  Result<std::string> Read(int64_t offset, int64_t length) override {
    if (offset < 0 || length < 0 || length > size_bytes() || offset > size_bytes() - length) {
      return MakeError(ErrorKind::kCorrupt, file_.path(), ": no ", length, " bytes at ", offset);
    }
    std::string bytes(static_cast<size_t>(length), '\0');
    LEMAN_RETURN_IF_ERROR(file_.ReadAt(offset, bytes.data(), bytes.size()));
    return bytes;
  }

 private:
  PosixFile file_;
  int64_t size_bytes_;
};

}  // namespace

Result<std::string> MemoryByteSource::Read(int64_t offset, int64_t length) {
  if (offset < 0 || length < 0 || length > size_bytes() || offset > size_bytes() - length) {
    return MakeError(ErrorKind::kCorrupt, "no ", length, " bytes at ", offset);
  }
  return std::string(bytes_.substr(static_cast<size_t>(offset), static_cast<size_t>(length)));
}

Result<std::unique_ptr<ByteSource>> OpenLocalFile(const std::string& path) {
  LEMAN_ASSIGN_OR_RETURN(PosixFile file, PosixFile::OpenForReading(path));
  const int64_t size_bytes = file.size_bytes();
  return std::unique_ptr<ByteSource>(std::make_unique<LocalFileSource>(std::move(file), size_bytes));
}

Result<std::unique_ptr<ByteSource>> OpenLocalPrefix(const std::string& path, int64_t size_bytes) {
  LEMAN_ASSIGN_OR_RETURN(PosixFile file, PosixFile::OpenForReading(path));
  if (size_bytes > file.size_bytes()) {
    return MakeError(ErrorKind::kCorrupt, path, " has ", file.size_bytes(), " bytes, expected ", size_bytes);
  }
  return std::unique_ptr<ByteSource>(std::make_unique<LocalFileSource>(std::move(file), size_bytes));
}

}  // namespace leman
