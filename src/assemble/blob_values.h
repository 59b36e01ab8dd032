// Checkpoints of blob columns: plain values, of which a data file needs to know only where they lie.
// Format: docs/formats/checkpoint.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "assemble/byte_source.h"
#include "assemble/lance_file.h"
#include "base/result.h"

namespace leman {

/// Metadata of a checkpoint's field: the column is one of blobs, here are its values.
inline constexpr std::string_view kBlobValuesKey = "leman.blob";

/// How the data file of a checkpoint's column keeps its blobs.
enum class BlobForm {
  kNone,    ///< It has none.
  kInside,  ///< `lance-encoding:blob`: in the data file itself.
  kBeside,  ///< `lance.blob.v2`: in files beside it.
  kOther,   ///< Not said; only Lance's own writer can make it.
};
BlobForm BlobFormOf(const LanceFile& checkpoint);

/// Where Lance looks for the blobs of a `lance.blob.v2` column that are not in the data file at `data_path`: file 1 of
/// its own. Path or key.
std::string BlobFileBeside(const std::string& data_path);

/// Where the bytes of one blob are.
struct BlobPlace {
  uint64_t position = 0;  ///< In the file; of one without bytes 0.
  uint64_t size = 0;
  bool null = false;
  friend bool operator==(const BlobPlace&, const BlobPlace&) = default;
};

/// The place of every value of `file`, which `source` reads: its pages must be plain ones (docs/formats/plain_page.md)
/// of a binary type. Reads what lies between values, not the values. kUnsupported if the pages are others, kCorrupt if
/// they say what cannot be.
Result<std::vector<BlobPlace>> PlacesOfBlobs(const LanceFile& file, ByteSource& source);

}  // namespace leman
