// How the fields of a schema map to the columns of a file, and whether the columns' lengths agree.
#pragma once

#include <cstdint>
#include <vector>

#include "assemble/lance_file.h"
#include "base/result.h"

namespace leman {

/// What joining files must know of one column.
struct ColumnRole {
  bool struct_header = false;  ///< Version 2.0: one page without data, however many rows.
  /// From version 2.1 on, for each struct around the column that has a list inside, the outermost first: can it be
  /// null? Lance (14.0) cannot read a range of rows over pages that differ in this, so joined pages must not.
  std::vector<uint64_t> struct_layers;
  bool mixed_struct_layers = false;  ///< The pages of this file differ in them already.
};

/// Whether some column of `roles` has pages that Lance cannot read together.
bool IsUnreadable(const std::vector<ColumnRole>& roles);

/// kUnsupported if the file has blobs as plain values: a checkpoint of a blob column, see docs/formats/checkpoint.md.
Status CheckIsDataFile(const LanceFile& file);

/// Whether blobs that lie in a file as plain values are taken for such: in checkpoints they are that.
enum class BlobValues { kRefuse, kTake };

/// One role a column. kUnsupported, with the reason, if the pages of `file` cannot be joined with those of others;
/// kCorrupt if its columns do not hold the rows that its schema says.
Result<std::vector<ColumnRole>> RolesOfColumns(const LanceFile& file, BlobValues blob_values = BlobValues::kRefuse);

}  // namespace leman
