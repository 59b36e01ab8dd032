// Checkpoints whose pages are parts of an upload that nobody has completed yet. Format: docs/formats/upload_parts.md.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "assemble/byte_source.h"
#include "assemble/lance_file.h"
#include "base/result.h"
#include "model/upload_parts.h"

namespace leman {

/// Whether a checkpoint of this path is a record of uploaded parts.
bool IsPartsRecord(const std::string& path);

/// The checkpoint's own file as far as it can be read: its tail. What lies before it reads as zeros.
std::unique_ptr<ByteSource> OpenPartsRecord(const PartsRecord& record);

/// Where the parts of several records come to lie in the one object.
class UploadedPages {
 public:
  /// Of the checkpoints `paths`; those without a record lie elsewhere. kCorrupt, naming the records, if they are not of
  /// one upload of `data_file`, or have the same parts.
  static Result<UploadedPages> Of(const std::vector<std::string>& paths,
                                  const std::vector<std::optional<PartsRecord>>& records, const std::string& data_file);

  /// kCorrupt, naming the record, unless the store has all parts as they were uploaded.
  [[nodiscard]] Status Check(const std::vector<UploadedPart>& stored) const;
  /// `file`, of checkpoint `index`, with its pages where they lie in the object.
  [[nodiscard]] Result<LanceFile> Moved(size_t index, LanceFile file) const;

  [[nodiscard]] const std::string& upload_id() const { return upload_id_; }
  /// Of all records, by ascending number.
  [[nodiscard]] const std::vector<UploadedPart>& parts() const { return parts_; }
  [[nodiscard]] int64_t size_bytes() const { return size_bytes_; }
  /// kCorrupt, naming all records: they are nothing any more.
  [[nodiscard]] Error Lost(const std::string& why) const;

 private:
  /// A part inside its checkpoint's own file and inside the object.
  struct Place {
    int64_t begin = 0;
    int64_t end = 0;
    int64_t position = 0;
  };

  std::string upload_id_;
  std::vector<UploadedPart> parts_;
  std::vector<std::string> paths_;          ///< Of the records.
  std::vector<std::string> owners_;         ///< Of parts_, their records' paths.
  std::vector<std::vector<Place>> places_;  ///< Of each checkpoint, in order.
  int64_t size_bytes_ = 0;
};

}  // namespace leman
