// Files made of parts, as an object store makes objects: for checkpoints in a store, of a table that is a folder.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "assemble/posix_file.h"
#include "io/part_uploads.h"

namespace leman {

/// Keys are paths relative to a folder. A file is written under `<path>.tmp`, each part read back, and renamed.
class FileParts final : public PartUploads {
 public:
  explicit FileParts(std::string root) : root_(std::move(root)) {}

  [[nodiscard]] bool copies_ranges() const override { return false; }
  /// After Expect, without which no part is taken.
  [[nodiscard]] bool any_order() const override { return true; }
  Result<std::string> Create(const std::string& key) override;
  Status Expect(const std::string& key, const std::string& upload, const std::vector<int64_t>& sizes) override;
  Result<std::string> Upload(const std::string& key, const std::string& upload, int64_t number,
                             std::string_view bytes) override;
  Result<std::string> CopyRange(const std::string& key, const std::string& upload, int64_t number,
                                const std::string& from, const std::string& etag, int64_t offset,
                                int64_t size_bytes) override;
  Status Complete(const std::string& key, const std::string& upload, const std::vector<std::string>& tags) override;
  Status Abort(const std::string& key, const std::string& upload) override;

 private:
  struct Open {
    PosixFile file;
    std::vector<int64_t> ends;  ///< Of each part.
  };

  [[nodiscard]] std::string PathOf(const std::string& key) const { return root_ + "/" + key; }
  Result<std::shared_ptr<Open>> Find(const std::string& upload);

  std::string root_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Open>> open_;  ///< By upload: the temporary path.
};

}  // namespace leman
