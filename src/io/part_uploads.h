// Port: objects made of parts, as object stores have them (S3: multipart upload).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/upload_parts.h"

namespace leman {

/// Keys are those of an ObjectStore. An upload that is neither completed nor aborted costs storage and shows no object.
/// Thread-safe where `any_order`.
class PartUploads {
 public:
  virtual ~PartUploads() = default;
  /// CopyRange works: bytes go from object to object inside the store.
  [[nodiscard]] virtual bool copies_ranges() const = 0;
  /// Parts may come in any order and at once; else from 1 on, one after the other.
  [[nodiscard]] virtual bool any_order() const = 0;
  /// Begins an object; returns the upload's id.
  virtual Result<std::string> Create(const std::string& key) = 0;
  /// May be told once, before any part: the sizes of all parts, in order.
  virtual Status Expect(const std::string& key, const std::string& upload, const std::vector<int64_t>& sizes) {
    (void)key;
    (void)upload;
    (void)sizes;
    return Ok();
  }
  /// Part numbers begin at 1; returns the part's tag.
  virtual Result<std::string> Upload(const std::string& key, const std::string& upload, int64_t number,
                                     std::string_view bytes) = 0;
  /// Part `number` is a range of the object `from`; kConflict if that no longer has `etag`, kUnsupported where the
  /// store does not copy from there after all.
  virtual Result<std::string> CopyRange(const std::string& key, const std::string& upload, int64_t number,
                                        const std::string& from, const std::string& etag, int64_t offset,
                                        int64_t size_bytes) = 0;
  /// The object appears; `tags[i]` is of part i + 1.
  virtual Status Complete(const std::string& key, const std::string& upload, const std::vector<std::string>& tags) = 0;
  /// What the store has of an upload, also by other processes, by ascending number; kNotFound after it was completed
  /// or aborted. kUnsupported, as CompleteOf, where an upload belongs to one process.
  virtual Result<std::vector<UploadedPart>> PartsOf(const std::string& key, const std::string& upload) {
    (void)upload;
    return MakeError(ErrorKind::kUnsupported, "the parts of an upload of ", key, " cannot be listed");
  }
  /// As Complete, of exactly `parts`, by ascending number; numbers may be left out.
  virtual Status CompleteOf(const std::string& key, const std::string& upload, const std::vector<UploadedPart>& parts) {
    (void)upload;
    (void)parts;
    return MakeError(ErrorKind::kUnsupported, "an upload of ", key, " cannot be completed with some parts only");
  }
  /// Forgets the upload; one that is gone is no error.
  virtual Status Abort(const std::string& key, const std::string& upload) = 0;
};

/// What S3 accepts, and the others, too.
struct PartLimits {
  int64_t min_part_bytes = 5 << 20;           ///< Of every part but the last.
  int64_t max_copied_part_bytes = 256 << 20;  ///< S3: 5 GiB; smaller parts are copied at once.
  int64_t max_parts = 10'000;
  int64_t max_object_bytes = int64_t{5} << 40;
};

}  // namespace leman
