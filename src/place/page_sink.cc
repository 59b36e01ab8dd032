#include "place/page_sink.h"

#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>
#include <vector>

#include "assemble/pages_file.h"
#include "assemble/posix_file.h"
#include "base/crc32c.h"
#include "io/local_object_store.h"
#include "place/staged_file.h"

namespace leman {
namespace {

constexpr size_t kBlockBytes = 256 << 10;  // Stays in the processor's cache between writing and comparing.

/// Writes bytes one after the other from a position on, and reads back what it wrote.
class BlockWriter {
 public:
  BlockWriter(const PosixFile& file, int64_t position) : file_(file), position_(position) {}

  Status Add(std::string_view bytes) {
    while (!bytes.empty()) {
      const std::string_view part = bytes.substr(0, kBlockBytes - block_bytes_);
      block_.push_back({const_cast<char*>(part.data()), part.size()});
      block_bytes_ += part.size();
      crc_ = Crc32c(part.data(), part.size(), crc_);
      bytes.remove_prefix(part.size());
      constexpr size_t kMostParts = 512;
      if (block_bytes_ == kBlockBytes || block_.size() == kMostParts) LEMAN_RETURN_IF_ERROR(Flush());
    }
    return Ok();
  }

  Status Flush() {
    const int64_t begin = position_;
    for (size_t first = 0; first < block_.size();) {
      const ssize_t n =
          ::pwritev(file_.fd(), block_.data() + first, static_cast<int>(block_.size() - first), position_);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return PosixError("write", file_.path(), errno);
      position_ += n;
      auto left = static_cast<size_t>(n);
      for (; first < block_.size() && left >= block_[first].iov_len; ++first) left -= block_[first].iov_len;
      if (left == 0) continue;
      block_[first].iov_base = static_cast<char*>(block_[first].iov_base) + left;
      block_[first].iov_len -= left;
    }
    block_.clear();
    read_back_.resize(std::exchange(block_bytes_, 0));
    LEMAN_RETURN_IF_ERROR(file_.ReadAt(begin, read_back_.data(), read_back_.size()));
    read_crc_ = Crc32c(read_back_.data(), read_back_.size(), read_crc_);
    if (read_crc_ == crc_) return Ok();
    return MakeError(ErrorKind::kRetryable, file_.path(), ": the ", position_ - begin, " bytes written at ", begin,
                     " were read back different");
  }

 private:
  const PosixFile& file_;
  int64_t position_;
  std::vector<iovec> block_;
  size_t block_bytes_ = 0;
  uint32_t crc_ = 0;
  uint32_t read_crc_ = 0;
  std::string read_back_;
};

int64_t AlignUp(int64_t value, int64_t alignment) { return (value + alignment - 1) / alignment * alignment; }

class FileSink final : public PageSink {
 public:
  static Result<std::unique_ptr<PageSink>> Into(const std::string& pages_path) {
    auto sink = std::make_unique<FileSink>();
    LEMAN_ASSIGN_OR_RETURN(PagesFile pages, PagesFile::OpenOrCreate(pages_path));
    LEMAN_ASSIGN_OR_RETURN(const bool sealed, pages.sealed());
    if (sealed) return MakeError(ErrorKind::kUnsupported, pages_path, " is sealed");
    sink->pages_ = std::move(pages);
    return std::unique_ptr<PageSink>(std::move(sink));
  }

  static Result<std::unique_ptr<PageSink>> New(const std::string& path) {
    auto sink = std::make_unique<FileSink>();
    LEMAN_ASSIGN_OR_RETURN(sink->own_, PosixFile::Create(path));
    return std::unique_ptr<PageSink>(std::move(sink));
  }

  Result<int64_t> Reserve(int64_t size_bytes) override {
    int64_t position = reserved_bytes_;
    if (pages_) {
      LEMAN_ASSIGN_OR_RETURN(position, pages_->Reserve(size_bytes));
      reserved_bytes_ += AlignUp(size_bytes, kRegionAlignment);
    } else {
      constexpr int64_t kGrid = 64;
      reserved_bytes_ += AlignUp(size_bytes, kGrid);
    }
    return position;
  }

  /// kRetryable if it was read back different.
  Status Write(int64_t position, std::span<const std::string_view> bytes) override {
    BlockWriter writer(pages_ ? pages_->file() : own_, position);
    for (const std::string_view part : bytes) LEMAN_RETURN_IF_ERROR(writer.Add(part));
    return writer.Flush();
  }

  Result<ClosedFile> Finish(int64_t position, std::string_view tail, uint32_t crc) override {
    LEMAN_RETURN_IF_ERROR(Write(position, {&tail, 1}));
    const int64_t end = position + static_cast<int64_t>(tail.size());
    if (!pages_) {
      LEMAN_RETURN_IF_ERROR(own_.Close());
      return ClosedFile{end};
    }
    const uint32_t whole_crc = Crc32c(tail.data(), tail.size(), crc);
    const PlacedRegion region{pages_->id(), end, reserved_bytes_, whole_crc};
    pages_.reset();
    return ClosedFile{reserved_bytes_, region};
  }

 private:
  std::optional<PagesFile> pages_;
  PosixFile own_;
  int64_t reserved_bytes_ = 0;
};

class FilePageStorage final : public PageStorage {
 public:
  Result<std::unique_ptr<PageSink>> Into(const std::string& pages_path) override { return FileSink::Into(pages_path); }
  Result<std::unique_ptr<PageSink>> New(const std::string& path) override { return FileSink::New(path); }
  Result<std::unique_ptr<ByteSource>> Open(const std::string& path) override { return OpenLocalFile(path); }
  void Remove(const std::string& path) override { ::unlink(path.c_str()); }
  Result<PlacedRegion> PlaceStaged(const std::string& path, const std::string& pages_path) override {
    return PlaceStagedFile(path, pages_path);
  }
};

}  // namespace

std::unique_ptr<PageStorage> MakeFilePageStorage() { return std::make_unique<FilePageStorage>(); }

}  // namespace leman
