// Port: named byte sequences, on a disk or in a bucket.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace leman {

struct ObjectMeta {
  std::string name;  ///< Relative to the listed folder.
  int64_t size_bytes = 0;
};

struct ObjectInfo {
  int64_t size_bytes = 0;
  std::string etag;  ///< Changes with the content; empty where the store has none.
};

/// Keys are '/'-separated and relative to the store's root; a key with an empty, "." or ".." part is refused.
class ObjectStore {
 public:
  virtual ~ObjectStore() = default;
  virtual Result<std::string> Get(const std::string& key) = 0;
  virtual Result<std::string> GetRange(const std::string& key, int64_t offset, int64_t size_bytes) = 0;
  /// Replaces the object atomically: a reader sees the old bytes or the new.
  virtual Status Put(const std::string& key, std::string_view bytes) = 0;
  /// kAlreadyExists if the key is taken.
  virtual Status PutIfAbsent(const std::string& key, std::string_view bytes) = 0;
  /// Replaces an object that has the bytes `expected`: kConflict if it has others, kNotFound if it is gone. Atomic
  /// where the store can say so; the default looks first and then puts.
  virtual Status PutIfMatch(const std::string& key, std::string_view bytes, const std::string& expected);
  /// What is known of an object without reading it; the default reads it.
  virtual Result<ObjectInfo> Head(const std::string& key);
  /// CRC-32C of the first `size_bytes` of an object, its content read to tell it; nothing where the store itself keeps
  /// and checks a sum of each object. The default reads it piece by piece.
  virtual Result<std::optional<uint32_t>> Checksum(const std::string& key, int64_t size_bytes);
  /// Objects directly in `folder`; a folder that does not exist is empty. No order is promised.
  virtual Result<std::vector<ObjectMeta>> List(const std::string& folder) = 0;
  virtual Status Copy(const std::string& from, const std::string& to) = 0;
  /// Gives an object another name, atomically; replaces what had the name.
  virtual Status Rename(const std::string& from, const std::string& to) = 0;
  /// Deleting what is not there succeeds.
  virtual Status Delete(const std::string& key) = 0;
  virtual Result<bool> Exists(const std::string& key) = 0;
};

/// `key` checked against the rules of ObjectStore.
Status ValidateKey(const std::string& key);

}  // namespace leman
