// The ports of src/io over a Python ObjectDoor (python/leman/object_door.py).
#pragma once

#include <nanobind/nanobind.h>

#include <memory>
#include <string>

#include "io/object_store.h"
#include "io/part_uploads.h"

namespace leman::python {

/// Called without the GIL, from several threads; may be destroyed on any.
class RemoteStore final : public ObjectStore {
 public:
  /// Needs the GIL.
  explicit RemoteStore(nanobind::object door) : door_(std::move(door)) {}
  RemoteStore(const RemoteStore&) = delete;
  RemoteStore& operator=(const RemoteStore&) = delete;
  ~RemoteStore() override;

  Result<std::string> Get(const std::string& key) override;
  Result<std::string> GetRange(const std::string& key, int64_t offset, int64_t size_bytes) override;
  /// Nothing: object stores sum what they keep, and reading it back would move every byte twice.
  Result<std::optional<uint32_t>> Checksum(const std::string& /*key*/, int64_t /*size_bytes*/) override {
    return std::optional<uint32_t>();
  }
  Status Put(const std::string& key, std::string_view bytes) override;
  Status PutIfAbsent(const std::string& key, std::string_view bytes) override;
  Status PutIfMatch(const std::string& key, std::string_view bytes, const std::string& expected) override;
  Result<ObjectInfo> Head(const std::string& key) override;
  Result<std::vector<ObjectMeta>> List(const std::string& folder) override;
  Status Copy(const std::string& from, const std::string& to) override;
  /// A copy and a deletion: both names are there for a moment.
  Status Rename(const std::string& from, const std::string& to) override;
  Status Delete(const std::string& key) override;
  Result<bool> Exists(const std::string& key) override;

 private:
  nanobind::object door_;
};

/// As RemoteStore, of an ObjectDoor's part_uploads().
class RemoteUploads final : public PartUploads {
 public:
  /// Needs the GIL.
  explicit RemoteUploads(nanobind::object uploads);
  RemoteUploads(const RemoteUploads&) = delete;
  RemoteUploads& operator=(const RemoteUploads&) = delete;
  ~RemoteUploads() override;

  [[nodiscard]] bool copies_ranges() const override { return copies_ranges_; }
  [[nodiscard]] bool any_order() const override { return any_order_; }
  Result<std::string> Create(const std::string& key) override;
  Result<std::string> Upload(const std::string& key, const std::string& upload, int64_t number,
                             std::string_view bytes) override;
  Result<std::string> CopyRange(const std::string& key, const std::string& upload, int64_t number,
                                const std::string& from, const std::string& etag, int64_t offset,
                                int64_t size_bytes) override;
  Status Complete(const std::string& key, const std::string& upload, const std::vector<std::string>& tags) override;
  Result<std::vector<UploadedPart>> PartsOf(const std::string& key, const std::string& upload) override;
  Status CompleteOf(const std::string& key, const std::string& upload, const std::vector<UploadedPart>& parts) override;
  Status Abort(const std::string& key, const std::string& upload) override;

 private:
  nanobind::object uploads_;
  bool copies_ranges_ = false;
  bool any_order_ = false;
};

/// The store of a table: over `door`, or where that is None over the folder `table_root`. Needs the GIL.
std::unique_ptr<ObjectStore> OpenStore(const nanobind::object& door, const std::string& table_root);

}  // namespace leman::python
