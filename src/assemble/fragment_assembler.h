// Makes the data file of one fragment of the checkpoints that cover it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "assemble/blob_values.h"
#include "base/result.h"
#include "model/assembly_bytes.h"
#include "model/placed_region.h"

namespace leman {

/// A file of the output column for physical rows [start_row, end_row) of the fragment; see docs/formats/checkpoint.md.
struct CheckpointFile {
  std::string path;  ///< Of a region: its record, by which errors name it.
  int64_t start_row = 0;
  int64_t end_row = 0;
  std::optional<PlacedRegion> region = {};  ///< Where in the pages file it lies; absent: it is a file of its own.
  std::string pages_path = {};
  bool check_bytes = false;  ///< Compare the region's bytes with its checksum before they are used.
};

struct AssembledFile {
  enum class Way {
    kLinked,     ///< It is the one checkpoint, under another name.
    kPlaced,     ///< The pages file that the checkpoints were written into.
    kStitched,   ///< The checkpoints' pages, as they are.
    kReencoded,  ///< Values were decoded and encoded again.
  };

  std::string path;
  int64_t rows = 0;
  int64_t size_bytes = 0;
  AssemblyBytes bytes;       ///< All of size_bytes.
  int32_t column_count = 0;  ///< For the table's DataFile: column_indices are 0 to column_count - 1.
  int major_version = 0;     ///< For the table's DataFile, which is not always what the footer says.
  int minor_version = 0;
  int64_t bytes_beside = 0;  ///< In files that belong to it: blobs of `lance.blob.v2`.
  Way way = Way::kStitched;
  std::string reencode_reason;  ///< Why kReencoded, for people.
};

/// Port: encodes the values of checkpoints again.
class Reencoder {
 public:
  virtual ~Reencoder() = default;
  /// Writes the values of `checkpoints`, in that order, into one file of the table's file version, with bounded memory.
  /// `output_path` appears complete or not at all.
  virtual Result<Unit> Reencode(const std::vector<CheckpointFile>& checkpoints, const std::string& output_path) = 0;
  /// Writes the data file of a `lance.blob.v2` column, whose blobs lie at `places` of the file that BlobFileBeside
  /// names.
  virtual Result<Unit> WriteBlobPlaces(std::span<const BlobPlace> places, const std::string& output_path) {
    return MakeError(ErrorKind::kUnsupported, "no way to write ", output_path, " of ", places.size(), " blobs");
  }
};

/// Makes a file of its own, at `path`, of a region, once its bytes are those that were written: kCorrupt else.
Status ExtractRegion(const CheckpointFile& checkpoint, const std::string& path,
                     const std::atomic<bool>* cancel = nullptr);

struct AssembleOptions {
  int threads = 1;  ///< That copy one file.
  /// Several checkpoints whose average is smaller are encoded again, see WorthCoalescing. 0: never.
  int64_t coalesce_below_bytes = 8 << 20;
  bool verify_copy = true;                      ///< Read back every copied block and compare it with the checkpoint's.
  const std::atomic<bool>* cancel = nullptr;    ///< Looked at while copying.
  std::function<void(int64_t bytes)> on_bytes;  ///< Progress of copying; never called twice at once.
};

/// Makes `output_path` of `checkpoints`, which cover [0, physical_rows) in row order, and verifies it. On an error
/// nothing is left under that name and the checkpoints are as they were: kInvalidArgument for a gap or an overlap,
/// kCorrupt for a checkpoint that is not what it should be (its path is in the message), kResourceExhausted,
/// kCancelled, or what the reencoder returned.
Result<AssembledFile> AssembleFragment(const std::vector<CheckpointFile>& checkpoints, int64_t physical_rows,
                                       const std::string& output_path, Reencoder& reencoder,
                                       const AssembleOptions& options = {});

}  // namespace leman
