#include "assemble/posix_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "io/local_object_store.h"

namespace leman {
namespace {

/// A limit on the size of files is used up like a disk.
Error WriteError(const std::string& what, const std::string& path, int error_number) {
  Error error = PosixError(what, path, error_number);
  if (error_number == EFBIG) error.kind = ErrorKind::kResourceExhausted;
  return error;
}

}  // namespace

PosixFile& PosixFile::operator=(PosixFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(size_, other.size_);
  std::swap(path_, other.path_);
  return *this;
}

PosixFile::~PosixFile() {
  if (fd_ >= 0) ::close(fd_);
}

Result<PosixFile> PosixFile::OpenForReading(const std::string& path) { return Open(path, O_RDONLY); }

Result<PosixFile> PosixFile::OpenForUpdate(const std::string& path, bool create) {
  return Open(path, O_RDWR | (create ? O_CREAT : 0));
}

Result<PosixFile> PosixFile::Open(const std::string& path, int flags) {
  PosixFile file;
  file.path_ = path;
  file.fd_ = ::open(path.c_str(), flags | O_CLOEXEC, 0666);
  if (file.fd_ < 0) return PosixError("open", path, errno);
  struct stat info {};
  if (::fstat(file.fd_, &info) != 0) return PosixError("stat", path, errno);
  if (!S_ISREG(info.st_mode)) return MakeError(ErrorKind::kInvalidArgument, path, " is not a regular file");
  file.size_ = info.st_size;
  return file;
}

Result<PosixFile> PosixFile::Create(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return PosixError("replace", path, errno);
  PosixFile file;
  file.path_ = path;
  file.fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (file.fd_ < 0) return PosixError("create", path, errno);
  return file;
}

Status PosixFile::ReadAt(int64_t offset, char* out, size_t length) const {
  while (length > 0) {
    const ssize_t n = ::pread(fd_, out, length, offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return PosixError("read", path_, errno);
    if (n == 0) return MakeError(ErrorKind::kCorrupt, path_, " ends at ", offset, ", ", length, " bytes too early");
    out += n;
    offset += n;
    length -= static_cast<size_t>(n);
  }
  return Ok();
}

Status PosixFile::WriteAt(int64_t offset, const char* bytes, size_t length) const {
  while (length > 0) {
    const ssize_t n = ::pwrite(fd_, bytes, length, offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return WriteError("write", path_, errno);
    bytes += n;
    offset += n;
    length -= static_cast<size_t>(n);
  }
  return Ok();
}

Status PosixFile::Allocate(int64_t size_bytes) const {
  int result = 0;
  do {
    result = ::fallocate(fd_, 0, 0, size_bytes);
  } while (result != 0 && errno == EINTR);
  if (result == 0) return Ok();
  if (errno != EOPNOTSUPP && errno != ENOSYS) return WriteError("allocate", path_, errno);
  if (::ftruncate(fd_, size_bytes) != 0) return WriteError("set the size of", path_, errno);
  return Ok();
}

Status PosixFile::Close() {
  const int fd = std::exchange(fd_, -1);
  if (::close(fd) != 0 && errno != EINTR) return WriteError("close", path_, errno);
  return Ok();
}

}  // namespace leman
