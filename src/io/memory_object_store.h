// ObjectStore in memory, for tests and the simulator.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "io/object_store.h"

namespace leman {

/// Thread-safe.
class MemoryObjectStore final : public ObjectStore {
 public:
  Result<std::string> Get(const std::string& key) override;
  Result<std::string> GetRange(const std::string& key, int64_t offset, int64_t size_bytes) override;
  Status Put(const std::string& key, std::string_view bytes) override;
  Status PutIfAbsent(const std::string& key, std::string_view bytes) override;
  Result<std::vector<ObjectMeta>> List(const std::string& folder) override;
  Status Copy(const std::string& from, const std::string& to) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Status Delete(const std::string& key) override;
  Result<bool> Exists(const std::string& key) override;

 private:
  std::mutex mutex_;
  std::map<std::string, std::string> objects_;
};

}  // namespace leman
