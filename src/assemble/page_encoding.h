// What an encoding description says about whether its page can be moved to another file.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "assemble/column_metadata.h"
#include "assemble/lance_file.h"
#include "base/result.h"

namespace leman {

/// What a page holds, as far as joining pages depends on it.
struct PageContent {
  enum class Kind {
    kValues,        ///< Everything is in the page's own buffers.
    kList,          ///< Version 2.0: offsets into `items` items of the next column.
    kStructHeader,  ///< Version 2.0: no data; a column of them has exactly one.
  };
  Kind kind = Kind::kValues;
  uint64_t items = 0;
  /// From version 2.1 on: what can be null or empty in each layer of nesting, the innermost first (`RepDefLayer`).
  std::vector<uint64_t> layers;
};

/// kUnsupported, with the reason, unless the page depends on nothing but its own buffers: no buffer shared by the
/// column or the file, no position in the file, no description that this build does not know.
Result<PageContent> ContentOfPage(LanceVersion version, const ColumnPage& page);

/// kUnsupported unless `encoding` says that the column is just its pages.
Status CheckColumnEncoding(std::string_view encoding);

}  // namespace leman
