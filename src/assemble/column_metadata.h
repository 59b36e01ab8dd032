// The page table of one column of a Lance v2 file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace leman {

/// Where a buffer lies in its file.
struct BufferRange {
  uint64_t offset = 0;
  uint64_t size = 0;
  friend bool operator==(const BufferRange&, const BufferRange&) = default;
};

struct ColumnPage {
  std::vector<BufferRange> buffers;
  uint64_t length = 0;    ///< Items in the page: rows, but in the item columns of version 2.0 list items.
  uint64_t priority = 0;  ///< First row of the page in the file; orders reads.
  std::string encoding;   ///< The `Encoding` message, unchanged.
  friend bool operator==(const ColumnPage&, const ColumnPage&) = default;
};

struct ColumnMetadata {
  std::string encoding;  ///< The `Encoding` message of the column, unchanged.
  std::vector<ColumnPage> pages;
  std::vector<BufferRange> buffers;  ///< Shared by the column's pages.
  friend bool operator==(const ColumnMetadata&, const ColumnMetadata&) = default;
};

/// kCorrupt if `message` is malformed, kUnsupported if it has a field that this build does not know.
Result<ColumnMetadata> ParseColumnMetadata(std::string_view message);
std::string EncodeColumnMetadata(const ColumnMetadata& column);

}  // namespace leman
