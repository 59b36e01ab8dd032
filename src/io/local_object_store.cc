#include "io/local_object_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "base/crc32c.h"

namespace leman {
namespace {

namespace fs = std::filesystem;

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

Status WriteAll(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return PosixError("write", path, errno);
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return Ok();
}

Status ReadAll(int fd, char* bytes, size_t size, int64_t offset, const std::string& path) {
  size_t done = 0;
  while (done < size) {
    const ssize_t n = ::pread(fd, bytes + done, size - done, static_cast<off_t>(offset + int64_t(done)));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return PosixError("read", path, errno);
    if (n == 0) return MakeError(ErrorKind::kCorrupt, "read ", path, ": it is shorter than it should be");
    done += static_cast<size_t>(n);
  }
  return Ok();
}

Status MakeParent(const std::string& path) {
  std::error_code error;
  fs::create_directories(fs::path(path).parent_path(), error);
  if (error) return PosixError("create folder of", path, error.value());
  return Ok();
}

}  // namespace

Error PosixError(const std::string& what, const std::string& path, int error_number) {
  ErrorKind kind = ErrorKind::kInternal;
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
      kind = ErrorKind::kNotFound;
      break;
    case EEXIST:
      kind = ErrorKind::kAlreadyExists;
      break;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      kind = ErrorKind::kResourceExhausted;
      break;
    case EACCES:
    case EPERM:
    case EROFS:
    case EISDIR:
    case ENAMETOOLONG:
      kind = ErrorKind::kInvalidArgument;
      break;
    case EIO:  // A disk or a server that may recover; after some attempts the job ends with it.
    case ESTALE:
    case ETIMEDOUT:
    case ECONNRESET:
    case EAGAIN:
    case EINTR:
    case EBUSY:
      kind = ErrorKind::kRetryable;
      break;
    default:
      break;
  }
  return MakeError(kind, what, " ", path, ": ", std::system_category().message(error_number));
}

Result<std::string> LocalObjectStore::Get(const std::string& key) { return GetRange(key, 0, -1); }

Result<std::string> LocalObjectStore::GetRange(const std::string& key, int64_t offset, int64_t size_bytes) {
  LEMAN_RETURN_IF_ERROR(ValidateKey(key));
  const std::string path = PathOf(key);
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return PosixError("open", path, errno);
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return PosixError("stat", path, errno);
  if (size_bytes < 0) size_bytes = info.st_size - offset;
  if (offset < 0 || size_bytes < 0 || offset + size_bytes > info.st_size) {
    return MakeError(ErrorKind::kCorrupt, "read ", path, ": bytes ", offset, "+", size_bytes, " are outside its ",
                     static_cast<int64_t>(info.st_size), " bytes");
  }
  std::string bytes(static_cast<size_t>(size_bytes), '\0');
  LEMAN_RETURN_IF_ERROR(ReadAll(file.get(), bytes.data(), bytes.size(), offset, path));
  return bytes;
}

Result<std::optional<uint32_t>> LocalObjectStore::Checksum(const std::string& key, int64_t size_bytes) {
  constexpr size_t kPieceBytes = 128 << 10;
  LEMAN_RETURN_IF_ERROR(ValidateKey(key));
  const std::string path = PathOf(key);
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return PosixError("open", path, errno);
  std::vector<char> piece(std::min(kPieceBytes, static_cast<size_t>(size_bytes)));
  uint32_t crc = 0;
  for (int64_t at = 0; at < size_bytes;) {
    const size_t n = std::min(piece.size(), static_cast<size_t>(size_bytes - at));
    LEMAN_RETURN_IF_ERROR(ReadAll(file.get(), piece.data(), n, at, path));
    crc = Crc32c(piece.data(), n, crc);
    at += static_cast<int64_t>(n);
  }
  return std::optional(crc);
}

Result<std::string> LocalObjectStore::WriteTemporary(const std::string& path, std::string_view bytes) {
  static std::atomic<uint64_t> counter{0};
  LEMAN_RETURN_IF_ERROR(MakeParent(path));
  std::string temporary = path + ".tmp-" + std::to_string(::getpid()) + "-" + std::to_string(counter.fetch_add(1));
  Status written = Ok();
  {
    const FileDescriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (file.get() < 0) return PosixError("create", temporary, errno);
    written = WriteAll(file.get(), bytes, temporary);
  }
  if (!written.ok()) {
    ::unlink(temporary.c_str());
    return written.error();
  }
  return temporary;
}

Status LocalObjectStore::Put(const std::string& key, std::string_view bytes) {
  LEMAN_RETURN_IF_ERROR(ValidateKey(key));
  const std::string path = PathOf(key);
  LEMAN_ASSIGN_OR_RETURN(const std::string temporary, WriteTemporary(path, bytes));
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary.c_str());
    return PosixError("replace", path, error);
  }
  return Ok();
}

Status LocalObjectStore::PutIfAbsent(const std::string& key, std::string_view bytes) {
  LEMAN_RETURN_IF_ERROR(ValidateKey(key));
  const std::string path = PathOf(key);
  LEMAN_ASSIGN_OR_RETURN(const std::string temporary, WriteTemporary(path, bytes));
  const int linked = ::link(temporary.c_str(), path.c_str());
  const int error = errno;
  ::unlink(temporary.c_str());
  if (linked != 0) return PosixError("create", path, error);
  return Ok();
}

Result<std::vector<ObjectMeta>> LocalObjectStore::List(const std::string& folder) {
  LEMAN_RETURN_IF_ERROR(ValidateKey(folder));
  const std::string path = PathOf(folder);
  std::vector<ObjectMeta> objects;
  std::error_code error;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    std::error_code entry_error;
    if (!it->is_regular_file(entry_error) || entry_error) continue;
    const auto size = it->file_size(entry_error);
    if (entry_error) continue;  // removed while listing
    objects.push_back(ObjectMeta{it->path().filename().string(), static_cast<int64_t>(size)});
  }
  if (error && error != std::errc::no_such_file_or_directory) return PosixError("list", path, error.value());
  return objects;
}

Status LocalObjectStore::Copy(const std::string& from, const std::string& to) {
  LEMAN_RETURN_IF_ERROR(ValidateKey(to));
  LEMAN_ASSIGN_OR_RETURN(const std::string bytes, Get(from));
  return Put(to, bytes);
}

Status LocalObjectStore::Rename(const std::string& from, const std::string& to) {
  LEMAN_RETURN_IF_ERROR(ValidateKey(from));
  LEMAN_RETURN_IF_ERROR(ValidateKey(to));
  LEMAN_RETURN_IF_ERROR(MakeParent(PathOf(to)));
  if (::rename(PathOf(from).c_str(), PathOf(to).c_str()) != 0) return PosixError("rename", PathOf(from), errno);
  return Ok();
}

Status LocalObjectStore::Delete(const std::string& key) {
  LEMAN_RETURN_IF_ERROR(ValidateKey(key));
  if (::unlink(PathOf(key).c_str()) != 0 && errno != ENOENT) return PosixError("delete", PathOf(key), errno);
  return Ok();
}

Result<ObjectInfo> LocalObjectStore::Head(const std::string& key) {
  LEMAN_RETURN_IF_ERROR(ValidateKey(key));
  const std::string path = PathOf(key);
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return PosixError("look for", path, errno);
  return ObjectInfo{info.st_size, ""};
}

Result<bool> LocalObjectStore::Exists(const std::string& key) {
  LEMAN_RETURN_IF_ERROR(ValidateKey(key));
  if (::access(PathOf(key).c_str(), F_OK) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  return PosixError("look for", PathOf(key), errno);
}

}  // namespace leman
