// How one data file is made of checkpoints' pages, as a value: which bytes go where.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "assemble/blob_values.h"
#include "assemble/column_layout.h"
#include "assemble/lance_file.h"
#include "base/result.h"

namespace leman {

/// Bytes of a checkpoint, as they are.
struct CheckpointRange {
  size_t checkpoint = 0;
  int64_t offset = 0;
  int64_t length = 0;
  friend bool operator==(const CheckpointRange&, const CheckpointRange&) = default;
};

struct Segment {
  int64_t position = 0;  ///< In the output.
  std::variant<CheckpointRange, std::string> content;
  friend bool operator==(const Segment&, const Segment&) = default;
};

/// Segments come in the order of their positions and do not overlap; what lies between them is never read.
struct AssemblyPlan {
  std::vector<Segment> segments;  ///< What is to be written.
  LanceVersion version = LanceVersion::k2_2;
  int64_t rows = 0;
  int64_t pages = 0;
  int64_t columns = 0;
  int64_t size_bytes = 0;
  int64_t copied_bytes = 0;  ///< Of size_bytes, those that come from checkpoints.
  int64_t placed_bytes =
      0;  ///< Of size_bytes, those of checkpoints that lie in the output already: no segment has them.
};

struct PlanOptions {
  /// Where ranges may begin, in the checkpoint and in the output; a multiple of 64. With the block size of the file
  /// system (4096) it can share blocks instead of copying them.
  int64_t range_alignment = 64;
  /// For each checkpoint, whether its pages lie in the output already, at the positions that it says; empty: none does.
  std::vector<bool> in_place;
  int64_t first_position = 0;  ///< What is written goes from here on.
  BlobValues blob_values = BlobValues::kRefuse;
  /// For each checkpoint the places of its blobs, which the output is to keep inside; empty: no column of blobs.
  std::span<const std::vector<BlobPlace>> blobs_inside = {};
};

/// The plan to put the pages of `checkpoints`, in that order, into one file. Needs no IO. kUnsupported, with the
/// reason, if pages cannot be adopted, so that values must be encoded again; kCorrupt if a checkpoint contradicts
/// itself.
Result<AssemblyPlan> PlanAssembly(std::span<const LanceFile> checkpoints, const PlanOptions& options = {});

/// The plan that copies all bytes of one file.
AssemblyPlan PlanWholeCopy(const LanceFile& file);

/// True if joined pages would be so small that every later reader pays for it, and encoding again is the better choice.
/// `page_bytes` and `rows` are those of all checkpoints together; `columns` those of the file.
bool WorthCoalescing(size_t checkpoints, int64_t page_bytes, int64_t rows, int64_t columns,
                     int64_t coalesce_below_bytes);

/// Bytes in the page buffers of `file`.
int64_t PageBytes(const LanceFile& file);

}  // namespace leman
