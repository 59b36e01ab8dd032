// An open file descriptor that closes itself, and whole reads and writes at positions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "base/result.h"

namespace leman {

class PosixFile {
 public:
  PosixFile() = default;
  PosixFile(PosixFile&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), size_(other.size_), path_(std::move(other.path_)) {}
  PosixFile& operator=(PosixFile&& other) noexcept;
  PosixFile(const PosixFile&) = delete;
  PosixFile& operator=(const PosixFile&) = delete;
  ~PosixFile();

  /// An existing regular file.
  static Result<PosixFile> OpenForReading(const std::string& path);
  /// A regular file to read and write; with `create`, an empty one where there is none.
  static Result<PosixFile> OpenForUpdate(const std::string& path, bool create);
  /// A new empty file, in place of whatever had the name.
  static Result<PosixFile> Create(const std::string& path);

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] const std::string& path() const { return path_; }
  /// When it was opened.
  [[nodiscard]] int64_t size_bytes() const { return size_; }

  /// Exactly `length` bytes; kCorrupt if the file ends before.
  Status ReadAt(int64_t offset, char* out, size_t length) const;
  Status WriteAt(int64_t offset, const char* bytes, size_t length) const;
  /// Gives the file its size and, where the file system can, the room for it, so that a full disk shows at once.
  Status Allocate(int64_t size_bytes) const;
  /// Closes it and says whether that worked: some file systems report a failed write only here.
  Status Close();

 private:
  static Result<PosixFile> Open(const std::string& path, int flags);

  int fd_ = -1;
  int64_t size_ = 0;
  std::string path_;
};

}  // namespace leman
