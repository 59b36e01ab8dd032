// One store of two: keys of one folder lie elsewhere.
#pragma once

#include <memory>
#include <string>

#include "io/object_store.h"

namespace leman {

/// What lies in `folder` (a key, e.g. "_leman/checkpoints") is kept by `inside`, under the same keys, and all else by
/// `outside`. Thread-safe where both are.
class RoutedObjectStore final : public ObjectStore {
 public:
  RoutedObjectStore(std::string folder, std::unique_ptr<ObjectStore> inside, std::unique_ptr<ObjectStore> outside)
      : prefix_(std::move(folder) + "/"), inside_(std::move(inside)), outside_(std::move(outside)) {}

  Result<std::string> Get(const std::string& key) override { return Of(key).Get(key); }
  Result<std::string> GetRange(const std::string& key, int64_t offset, int64_t size_bytes) override {
    return Of(key).GetRange(key, offset, size_bytes);
  }
  Status Put(const std::string& key, std::string_view bytes) override { return Of(key).Put(key, bytes); }
  Status PutIfAbsent(const std::string& key, std::string_view bytes) override {
    return Of(key).PutIfAbsent(key, bytes);
  }
  Status PutIfMatch(const std::string& key, std::string_view bytes, const std::string& expected) override {
    return Of(key).PutIfMatch(key, bytes, expected);
  }
  Result<ObjectInfo> Head(const std::string& key) override { return Of(key).Head(key); }
  Result<std::optional<uint32_t>> Checksum(const std::string& key, int64_t size_bytes) override {
    return Of(key).Checksum(key, size_bytes);
  }
  Result<std::vector<ObjectMeta>> List(const std::string& folder) override { return Of(folder + "/").List(folder); }
  /// kUnsupported from one store to the other, as is Rename.
  Status Copy(const std::string& from, const std::string& to) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Status Delete(const std::string& key) override { return Of(key).Delete(key); }
  Result<bool> Exists(const std::string& key) override { return Of(key).Exists(key); }

 private:
  [[nodiscard]] ObjectStore& Of(const std::string& key) { return key.starts_with(prefix_) ? *inside_ : *outside_; }
  Status CheckOneStore(const std::string& from, const std::string& to);

  std::string prefix_;
  std::unique_ptr<ObjectStore> inside_;
  std::unique_ptr<ObjectStore> outside_;
};

}  // namespace leman
