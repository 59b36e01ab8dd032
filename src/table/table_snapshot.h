// Port: one version of a table, as planning sees it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/fragment_info.h"
#include "model/table_history.h"

namespace leman {

class TableSnapshot {
 public:
  virtual ~TableSnapshot() = default;
  /// All fragments of the version in table order. Reads metadata only.
  virtual Result<std::vector<FragmentInfo>> Fragments() = 0;
  /// How many live rows `filter` (the table's SQL) selects in each of `fragment_ids`; a fragment with none may be
  /// absent.
  virtual Result<std::map<int64_t, int64_t>> CountSelected(const std::string& filter,
                                                           const std::vector<int64_t>& fragment_ids) = 0;
  /// What updates and rewrites made these data files of the output column, and, of rewrites, those that they rewrote,
  /// as far as the table's history goes back. Reads one small file for each version that it looks at; a table that
  /// keeps no history knows of none.
  virtual Result<TableHistory> HistoryOf(const std::vector<std::string>& names) {
    (void)names;
    return TableHistory{};
  }
  /// Whether a rewrite kept its rows in order (Rewrite::in_order), proven by the rows themselves: by their stable row
  /// ids, where the table has them, else by what they hold in all columns that count. Where that can no longer be
  /// known, false.
  virtual Result<bool> KeptOrder(const Rewrite& rewrite) {
    (void)rewrite;
    return false;
  }
  /// Where the physical rows (by fragment, in order) of an earlier version are in this one, as far as they are live and
  /// the output is null there; rows of which it is only known that they are among others come with those.
  /// kConflict: some cannot be found again.
  virtual Result<std::map<int64_t, std::vector<int64_t>>> RowsNow(const std::map<int64_t, std::vector<int64_t>>& rows,
                                                                  int64_t since_version) {
    (void)since_version;
    return rows;
  }
  /// From now on this is the newest version of the table; returns it.
  virtual Result<int64_t> MoveToLatest() = 0;
};

}  // namespace leman
