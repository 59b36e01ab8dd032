#include "io/testing/faulty_object_store.h"

namespace leman::testing {

Result<std::string> FaultyObjectStore::Get(const std::string& key) {
  LEMAN_RETURN_IF_ERROR(Ask("Get", key));
  return inner_.Get(key);
}

Result<std::string> FaultyObjectStore::GetRange(const std::string& key, int64_t offset, int64_t size_bytes) {
  LEMAN_RETURN_IF_ERROR(Ask("GetRange", key));
  return inner_.GetRange(key, offset, size_bytes);
}

Status FaultyObjectStore::Put(const std::string& key, std::string_view bytes) {
  LEMAN_RETURN_IF_ERROR(Ask("Put", key));
  return inner_.Put(key, bytes);
}

Status FaultyObjectStore::PutIfAbsent(const std::string& key, std::string_view bytes) {
  LEMAN_RETURN_IF_ERROR(Ask("PutIfAbsent", key));
  return inner_.PutIfAbsent(key, bytes);
}

Result<std::vector<ObjectMeta>> FaultyObjectStore::List(const std::string& folder) {
  LEMAN_RETURN_IF_ERROR(Ask("List", folder));
  return inner_.List(folder);
}

Status FaultyObjectStore::Copy(const std::string& from, const std::string& to) {
  LEMAN_RETURN_IF_ERROR(Ask("Copy", to));
  return inner_.Copy(from, to);
}

Status FaultyObjectStore::Rename(const std::string& from, const std::string& to) {
  LEMAN_RETURN_IF_ERROR(Ask("Rename", to));
  return inner_.Rename(from, to);
}

Status FaultyObjectStore::Delete(const std::string& key) {
  LEMAN_RETURN_IF_ERROR(Ask("Delete", key));
  return inner_.Delete(key);
}

Result<bool> FaultyObjectStore::Exists(const std::string& key) {
  LEMAN_RETURN_IF_ERROR(Ask("Exists", key));
  return inner_.Exists(key);
}

}  // namespace leman::testing
