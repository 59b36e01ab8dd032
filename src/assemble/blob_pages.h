// Pages of `lance-encoding:blob` columns: where each blob lies in the same file.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "assemble/blob_values.h"
#include "assemble/column_metadata.h"
#include "assemble/file_descriptor.h"
#include "assemble/lance_file.h"

namespace leman {

/// The column of the blobs at `places`, to be written from `position`, a multiple of 64, on.
struct BlobColumn {
  ColumnMetadata column;
  std::string bytes;  ///< All of its pages.
};
BlobColumn MakeBlobColumn(LanceVersion version, std::span<const BlobPlace> places, uint64_t position);

/// The field of the data file for that of a checkpoint.
SchemaField BlobFieldOf(const SchemaField& checkpoint);

}  // namespace leman
