/// \file
/// Checkpoints that are parts of the upload of their fragment's data file. Format: docs/formats/upload_parts.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/row_range.h"

namespace leman {

/// Part numbers above it are for assembly: of the 10,000 that S3 has.
inline constexpr int64_t kLastWorkerPart = 9'000;

/// Which upload serves a fragment, and which part numbers are free.
struct UploadAnnouncement {
  std::string data_file;  ///< Plain name under the table's data folder.
  std::string upload_id;
  int64_t next_number = 1;
  std::string claim;  ///< 16 hexadecimal digits, new with each change.
};

struct UploadedPart {
  int64_t number = 0;  ///< From 1 on.
  int64_t size_bytes = 0;
  std::string tag;  ///< The store's ETag.
  friend bool operator==(const UploadedPart&, const UploadedPart&) = default;
};

/// What makes uploaded parts a checkpoint.
struct PartsRecord {
  std::string data_file;
  std::string upload_id;
  std::vector<UploadedPart> parts;  ///< By ascending number.
  std::string tail;                 ///< What follows the parts in the checkpoint's own Lance file.

  /// Of the parts, in bytes.
  [[nodiscard]] int64_t parts_bytes() const;
};

/// A record's file name.
struct PartsName {
  RowRange range;
  std::string fragment_key;
  std::string id;  ///< 16 hexadecimal digits.
  int64_t size_bytes = 0;
};

/// "<fragment>-<fragment key>.upload".
std::string UploadFileName(int64_t fragment_id, const std::string& fragment_key);
/// Whether a file has such a name.
bool IsUploadFileName(const std::string& file_name);
/// "<fragment>-<fragment key>-<start>-<end>-<id>-<size>.parts".
std::string PartsFileName(const PartsName& name);
/// The parts of a record's file name, if it is one.
std::optional<PartsName> ParsePartsFileName(const std::string& file_name);

std::string EncodeUploadAnnouncement(const UploadAnnouncement& announcement);
/// kCorrupt for anything that EncodeUploadAnnouncement does not give.
Result<UploadAnnouncement> ParseUploadAnnouncement(std::string_view bytes);

std::string EncodePartsRecord(const PartsRecord& record);
/// kCorrupt for anything that EncodePartsRecord does not give.
Result<PartsRecord> ParsePartsRecord(std::string_view bytes);

}  // namespace leman
