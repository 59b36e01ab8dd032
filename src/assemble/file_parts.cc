#include "assemble/file_parts.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "io/local_object_store.h"

namespace leman {

Result<std::string> FileParts::Create(const std::string& key) {
  LEMAN_RETURN_IF_ERROR(ValidateKey(key));
  std::string upload = PathOf(key) + ".tmp";
  const auto folder = std::filesystem::path(upload).parent_path();
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return PosixError("create", folder.string(), error.value());
  auto open = std::make_shared<Open>();
  LEMAN_ASSIGN_OR_RETURN(open->file, PosixFile::Create(upload));
  const std::lock_guard lock(mutex_);
  open_[upload] = std::move(open);
  return upload;
}

Status FileParts::Expect(const std::string& /*key*/, const std::string& upload, const std::vector<int64_t>& sizes) {
  LEMAN_ASSIGN_OR_RETURN(const std::shared_ptr<Open> open, Find(upload));
  int64_t end = 0;
  for (const int64_t size : sizes) open->ends.push_back(end += size);
  return open->file.Allocate(end);
}

Result<std::string> FileParts::Upload(const std::string& key, const std::string& upload, int64_t number,
                                      std::string_view bytes) {
  LEMAN_ASSIGN_OR_RETURN(const std::shared_ptr<Open> open, Find(upload));
  const auto at = static_cast<size_t>(number - 1);
  if (number < 1 || at >= open->ends.size()) return MakeError(ErrorKind::kInternal, key, " has no part ", number);
  const int64_t begin = at == 0 ? 0 : open->ends[at - 1];
  if (open->ends[at] - begin != static_cast<int64_t>(bytes.size())) {
    return MakeError(ErrorKind::kInternal, "part ", number, " of ", key, " has ", bytes.size(), " bytes, expected ",
                     open->ends[at] - begin);
  }
  LEMAN_RETURN_IF_ERROR(open->file.WriteAt(begin, bytes.data(), bytes.size()));
  std::string found(bytes.size(), '\0');
  LEMAN_RETURN_IF_ERROR(open->file.ReadAt(begin, found.data(), found.size()));
  if (found == bytes) return std::string();
  return MakeError(ErrorKind::kCorrupt, upload, ": the ", bytes.size(), " bytes written at ", begin,
                   " were read back different");
}

Result<std::string> FileParts::CopyRange(const std::string& key, const std::string& /*upload*/, int64_t /*number*/,
                                         const std::string& from, const std::string& /*etag*/, int64_t /*offset*/,
                                         int64_t /*size_bytes*/) {
  return MakeError(ErrorKind::kUnsupported, "no range of ", from, " can be copied to ", key);
}

Status FileParts::Complete(const std::string& key, const std::string& upload,
                           const std::vector<std::string>& /*tags*/) {
  LEMAN_ASSIGN_OR_RETURN(const std::shared_ptr<Open> open, Find(upload));
  LEMAN_RETURN_IF_ERROR(open->file.Close());
  const std::string path = PathOf(key);
  if (::rename(upload.c_str(), path.c_str()) != 0) return PosixError("rename to", path, errno);
  const std::lock_guard lock(mutex_);
  open_.erase(upload);
  return Ok();
}

Status FileParts::Abort(const std::string& /*key*/, const std::string& upload) {
  const std::lock_guard lock(mutex_);
  if (open_.erase(upload) > 0) ::unlink(upload.c_str());
  return Ok();
}

Result<std::shared_ptr<FileParts::Open>> FileParts::Find(const std::string& upload) {
  const std::lock_guard lock(mutex_);
  const auto found = open_.find(upload);
  if (found == open_.end()) return MakeError(ErrorKind::kNotFound, upload, " is not being written");
  return found->second;
}

}  // namespace leman
