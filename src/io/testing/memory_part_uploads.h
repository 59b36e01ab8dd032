// An S3 in memory that refuses what S3 refuses; for tests.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "io/object_store.h"
#include "io/part_uploads.h"

namespace leman::testing {

/// Uploads to one key at a time. Thread-safe.
class MemoryPartUploads final : public PartUploads {
 public:
  /// Objects appear in `store`, which outlives this.
  MemoryPartUploads(ObjectStore& store, int64_t min_part_bytes) : store_(store), min_part_bytes_(min_part_bytes) {}
  [[nodiscard]] bool copies_ranges() const override { return true; }
  [[nodiscard]] bool any_order() const override { return true; }
  Result<std::string> Create(const std::string& key) override;
  Result<std::string> Upload(const std::string& key, const std::string& upload, int64_t number,
                             std::string_view bytes) override;
  Result<std::string> CopyRange(const std::string& key, const std::string& upload, int64_t number,
                                const std::string& from, const std::string& etag, int64_t offset,
                                int64_t size_bytes) override;
  Status Complete(const std::string& key, const std::string& upload, const std::vector<std::string>& tags) override;
  Status Abort(const std::string& key, const std::string& upload) override;

  int open = 0;           ///< Uploads neither completed nor aborted.
  int64_t fail_part = 0;  ///< The number of a part that fails.
  bool answer_lost = false;
  int64_t copied_bytes = 0;  ///< By CopyRange.

 private:
  ObjectStore& store_;
  int64_t min_part_bytes_;
  std::mutex mutex_;
  std::map<int64_t, std::string> parts_;
};

}  // namespace leman::testing
