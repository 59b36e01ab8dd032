#include "io/memory_object_store.h"

namespace leman {

Result<std::string> MemoryObjectStore::Get(const std::string& key) { return GetRange(key, 0, -1); }

Result<std::string> MemoryObjectStore::GetRange(const std::string& key, int64_t offset, int64_t size_bytes) {
  LEMAN_RETURN_IF_ERROR(ValidateKey(key));
  const std::lock_guard lock(mutex_);
  const auto found = objects_.find(key);
  if (found == objects_.end()) return MakeError(ErrorKind::kNotFound, "open ", key, ": no such object");
  const auto size = static_cast<int64_t>(found->second.size());
  if (size_bytes < 0) size_bytes = size - offset;
  if (offset < 0 || size_bytes < 0 || offset + size_bytes > size) {
    return MakeError(ErrorKind::kCorrupt, "read ", key, ": bytes ", offset, "+", size_bytes, " are outside its ", size,
                     " bytes");
  }
  return found->second.substr(static_cast<size_t>(offset), static_cast<size_t>(size_bytes));
}

Status MemoryObjectStore::Put(const std::string& key, std::string_view bytes) {
  LEMAN_RETURN_IF_ERROR(ValidateKey(key));
  const std::lock_guard lock(mutex_);
  objects_[key] = std::string(bytes);
  return Ok();
}

Status MemoryObjectStore::PutIfAbsent(const std::string& key, std::string_view bytes) {
  LEMAN_RETURN_IF_ERROR(ValidateKey(key));
  const std::lock_guard lock(mutex_);
  if (!objects_.emplace(key, bytes).second) {
    return MakeError(ErrorKind::kAlreadyExists, "create ", key, ": it exists");
  }
  return Ok();
}

Result<std::vector<ObjectMeta>> MemoryObjectStore::List(const std::string& folder) {
  LEMAN_RETURN_IF_ERROR(ValidateKey(folder));
  const std::string prefix = folder + "/";
  std::vector<ObjectMeta> found;
  const std::lock_guard lock(mutex_);
  for (auto it = objects_.lower_bound(prefix); it != objects_.end() && it->first.starts_with(prefix); ++it) {
    const std::string name = it->first.substr(prefix.size());
    if (name.find('/') == std::string::npos) found.push_back({name, static_cast<int64_t>(it->second.size())});
  }
  return found;
}

Status MemoryObjectStore::Copy(const std::string& from, const std::string& to) {
  LEMAN_ASSIGN_OR_RETURN(const std::string bytes, Get(from));
  return Put(to, bytes);
}

Status MemoryObjectStore::Rename(const std::string& from, const std::string& to) {
  LEMAN_RETURN_IF_ERROR(Copy(from, to));
  return Delete(from);
}

Status MemoryObjectStore::Delete(const std::string& key) {
  LEMAN_RETURN_IF_ERROR(ValidateKey(key));
  const std::lock_guard lock(mutex_);
  objects_.erase(key);
  return Ok();
}

Result<bool> MemoryObjectStore::Exists(const std::string& key) {
  LEMAN_RETURN_IF_ERROR(ValidateKey(key));
  const std::lock_guard lock(mutex_);
  return objects_.contains(key);
}

}  // namespace leman
