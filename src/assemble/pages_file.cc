#include "assemble/pages_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <random>
#include <string_view>
#include <thread>

#include "io/local_object_store.h"

namespace leman {
namespace {

constexpr std::string_view kMagic = "LEMANPG1";
constexpr size_t kIdDigits = 16;
constexpr int64_t kSealAt = static_cast<int64_t>(kMagic.size() + kIdDigits);
constexpr char kOpen = '0';
constexpr char kSealed = '1';

std::string RandomId() {
  std::random_device random;
  constexpr std::string_view kDigits = "0123456789abcdef";
  uint64_t bits = (uint64_t{random()} << 32) | random();
  std::string text;
  for (size_t i = 0; i < kIdDigits; ++i, bits >>= 4) text.push_back(kDigits[bits & 0xf]);
  return text;
}

/// Of one open file; let go at the end of its life, or of its process.
class FileLock {
 public:
  /// kUnsupported where it cannot be had in time or at all.
  static Result<FileLock> Take(const PosixFile& file) {
    constexpr auto kPatience = std::chrono::seconds(10);
    constexpr auto kLongestPause = std::chrono::milliseconds(50);
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    auto pause = std::chrono::milliseconds(1);
    while (::flock(file.fd(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK && errno != EINTR) {
        return MakeError(ErrorKind::kUnsupported, PosixError("lock", file.path(), errno).message);
      }
      if (std::chrono::steady_clock::now() > deadline) {
        return MakeError(ErrorKind::kUnsupported, file.path(), " is locked by another process");
      }
      std::this_thread::sleep_for(pause);
      pause = std::min(pause * 2, kLongestPause);
    }
    return FileLock(file.fd());
  }
  FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileLock& operator=(FileLock&&) = delete;
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  ~FileLock() {
    if (fd_ >= 0) ::flock(fd_, LOCK_UN);
  }

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_;
};

Result<int64_t> SizeOf(const PosixFile& file) {
  struct stat info {};
  if (::fstat(file.fd(), &info) != 0) return PosixError("stat", file.path(), errno);
  return static_cast<int64_t>(info.st_size);
}

/// Whether the name still leads to the open file.
bool IsCurrent(const PosixFile& file) {
  struct stat opened {};
  struct stat named {};
  return ::fstat(file.fd(), &opened) == 0 && ::stat(file.path().c_str(), &named) == 0 &&
         opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

Error Replaced(const PosixFile& file) { return MakeError(ErrorKind::kUnsupported, file.path(), " was replaced"); }

}  // namespace

Status PagesFile::MakeHeader() {
  std::string header(kMagic);
  header += RandomId();
  header += kOpen;
  header.resize(kPagesHeaderBytes, '\0');
  return file_.WriteAt(0, header.data(), header.size());
}

Status PagesFile::ReadHeader() {
  std::string header(kSealAt + 1, '\0');
  if (const Status read = file_.ReadAt(0, header.data(), header.size()); !read.ok()) return read;
  id_ = header.substr(kMagic.size(), kIdDigits);
  if (!header.starts_with(kMagic)) return MakeError(ErrorKind::kCorrupt, file_.path(), " is not a pages file");
  return Ok();
}

Result<PagesFile> PagesFile::Open(const std::string& path) {
  PagesFile pages;
  LEMAN_ASSIGN_OR_RETURN(pages.file_, PosixFile::OpenForUpdate(path, false));
  LEMAN_RETURN_IF_ERROR(pages.ReadHeader());
  return pages;
}

Result<PagesFile> PagesFile::OpenOrCreate(const std::string& path) {
  constexpr int kTries = 3;
  for (int i = 0; i < kTries; ++i) {
    PagesFile pages;
    LEMAN_ASSIGN_OR_RETURN(pages.file_, PosixFile::OpenForUpdate(path, true));
    LEMAN_ASSIGN_OR_RETURN(const FileLock lock, FileLock::Take(pages.file_));
    if (!IsCurrent(pages.file_)) continue;
    LEMAN_ASSIGN_OR_RETURN(const int64_t size, SizeOf(pages.file_));
    // A shorter one is of a writer that died while making the header.
    if (size < kPagesHeaderBytes) LEMAN_RETURN_IF_ERROR(pages.MakeHeader());
    LEMAN_RETURN_IF_ERROR(pages.ReadHeader());
    return pages;
  }
  return MakeError(ErrorKind::kUnsupported, path, " is replaced again and again");
}

Result<bool> PagesFile::sealed() const {
  char seal = kOpen;
  LEMAN_RETURN_IF_ERROR(file_.ReadAt(kSealAt, &seal, 1));
  return seal != kOpen;
}

Result<int64_t> PagesFile::Reserve(int64_t size_bytes) {
  LEMAN_ASSIGN_OR_RETURN(const FileLock lock, FileLock::Take(file_));
  if (!IsCurrent(file_)) return Replaced(file_);
  LEMAN_ASSIGN_OR_RETURN(const bool is_sealed, sealed());
  if (is_sealed) return MakeError(ErrorKind::kUnsupported, file_.path(), " is sealed");
  LEMAN_ASSIGN_OR_RETURN(const int64_t size, SizeOf(file_));
  const int64_t offset = (size + kRegionAlignment - 1) / kRegionAlignment * kRegionAlignment;
  LEMAN_RETURN_IF_ERROR(file_.Allocate(offset + size_bytes));
  return offset;
}

Status PagesFile::Seal(const std::function<Result<int64_t>(int64_t size_bytes)>& complete) {
  LEMAN_ASSIGN_OR_RETURN(const FileLock lock, FileLock::Take(file_));
  if (!IsCurrent(file_)) return Replaced(file_);
  LEMAN_ASSIGN_OR_RETURN(const bool is_sealed, sealed());
  if (is_sealed) return MakeError(ErrorKind::kUnsupported, file_.path(), " is sealed");
  LEMAN_ASSIGN_OR_RETURN(const int64_t size, SizeOf(file_));
  LEMAN_ASSIGN_OR_RETURN(const int64_t final_size, complete(size));
  if (::ftruncate(file_.fd(), final_size) != 0) return PosixError("set the size of", file_.path(), errno);
  // Last: a file that is sealed is complete.
  return file_.WriteAt(kSealAt, &kSealed, 1);
}

}  // namespace leman
