// Where the rows of files without a record come from, for the planner to ask.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "model/backfill_spec.h"
#include "model/fragment_info.h"
#include "model/table_history.h"

namespace leman {

/// Pure. Whether what an update copied along, or copied once before, is not of the inputs that are there now.
bool IsOutdated(const BackfillSpec& spec, const FileOfUpdate& file);

/// Rows [start, end) of a fragment of a rewrite, without the dropped ones, lie from `position` on among the rewritten
/// rows, which are counted across all of `to`.
struct RewrittenRange {
  int64_t start = 0;
  int64_t end = 0;
  int64_t position = 0;
};

/// Where the rows [start, end) of `source` went that were not dropped, where `first` is the position of its first row.
std::vector<RewrittenRange> FollowRows(const RewriteSource& source, int64_t first, int64_t start, int64_t end);

class FileHistory {
 public:
  FileHistory() = default;
  FileHistory(const BackfillSpec& spec, const TableHistory& told);

  /// A rewrite and the part of it that made a fragment; `rewrite` is null where none did.
  struct Origin {
    const Rewrite* rewrite = nullptr;
    int64_t first = 0;       ///< Position of the fragment's first row among the rewritten rows.
    bool same_rows = false;  ///< The columns that count lie in the files still that the rewrite made.
  };

  /// Whether the output in this file is out of date, as IsOutdated says.
  [[nodiscard]] bool outdated(const std::string& output_file) const { return outdated_.contains(output_file); }
  [[nodiscard]] Origin OriginOf(const FragmentInfo& fragment) const;
  [[nodiscard]] std::vector<Rewrite>& rewrites() { return rewrites_; }

 private:
  std::set<std::string> outdated_;
  std::vector<Rewrite> rewrites_;                             ///< Older ones first.
  std::map<std::string, std::pair<size_t, size_t>> made_by_;  ///< By output file: the rewrite and which of its `to`.
};

}  // namespace leman
