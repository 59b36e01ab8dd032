// ObjectStore over a folder of a POSIX file system.
#pragma once

#include <string>

#include "io/object_store.h"

namespace leman {

/// Folders are made as needed. Writes go to a temporary name in the same folder and are renamed.
class LocalObjectStore final : public ObjectStore {
 public:
  explicit LocalObjectStore(std::string root) : root_(std::move(root)) {}

  Result<std::string> Get(const std::string& key) override;
  Result<std::string> GetRange(const std::string& key, int64_t offset, int64_t size_bytes) override;
  /// Through one small buffer, which stays in the processor's cache.
  Result<std::optional<uint32_t>> Checksum(const std::string& key, int64_t size_bytes) override;
  Status Put(const std::string& key, std::string_view bytes) override;
  Status PutIfAbsent(const std::string& key, std::string_view bytes) override;
  Result<ObjectInfo> Head(const std::string& key) override;
  Result<std::vector<ObjectMeta>> List(const std::string& folder) override;
  Status Copy(const std::string& from, const std::string& to) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Status Delete(const std::string& key) override;
  Result<bool> Exists(const std::string& key) override;

 private:
  [[nodiscard]] std::string PathOf(const std::string& key) const { return root_ + "/" + key; }
  Result<std::string> WriteTemporary(const std::string& path, std::string_view bytes);

  std::string root_;
};

/// The error for a failed system call on `path`: kind by errno, message "<what> <path>: <reason>".
Error PosixError(const std::string& what, const std::string& path, int error_number);

}  // namespace leman
