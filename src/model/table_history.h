// What a table's history tells about data files that have no record.
#pragma once

#include <cstdint>
#include <vector>

#include "model/file_of_update.h"
#include "model/fragment_info.h"

namespace leman {

/// Rows of a fragment that a rewrite took.
struct RewriteSource {
  FragmentInfo fragment;         ///< As it was just before.
  std::vector<int64_t> dropped;  ///< Its physical rows that were deleted by then, in order: they were left behind.

  [[nodiscard]] int64_t live_rows() const { return fragment.physical_rows - static_cast<int64_t>(dropped.size()); }
};

/// One group of a rewrite by others, such as a compaction: rows of `from` are now in `to`.
struct Rewrite {
  int64_t version = 0;
  std::vector<RewriteSource> from;
  std::vector<FragmentInfo> to;  ///< As the rewrite made them; their data files are new.
  /// Proven: the rows of `to`, one fragment after the other, are those of `from` without the dropped ones, in order.
  bool in_order = false;
};

struct TableHistory {
  std::vector<FileOfUpdate> updates;
  std::vector<Rewrite> rewrites;
};

}  // namespace leman
