// An ObjectStore that fails on demand.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "io/object_store.h"

namespace leman::testing {

/// Forwards to another store after asking a hook, which sees the operation's name ("Put", "Rename", ...) and its key
/// (of two, the new one); an error of the hook is the operation's answer. As thread-safe as the store and the hook are.
class FaultyObjectStore final : public ObjectStore {
 public:
  using Hook = std::function<Status(const std::string& operation, const std::string& key)>;

  /// `inner` outlives this.
  explicit FaultyObjectStore(ObjectStore& inner) : inner_(inner) {}
  FaultyObjectStore(ObjectStore& inner, Hook before) : inner_(inner), before_(std::move(before)) {}

  /// Not while another thread uses the store.
  void set_hook(Hook before) { before_ = std::move(before); }

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
  Status Ask(const std::string& operation, const std::string& key) { return before_ ? before_(operation, key) : Ok(); }

  ObjectStore& inner_;
  Hook before_;
};

}  // namespace leman::testing
