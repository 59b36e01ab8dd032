// Port: one version of a table, as planning sees it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/file_of_update.h"
#include "model/fragment_info.h"

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
  /// Those of these data files that updates made, as far as the table's history goes back. Reads one small file for
  /// each version that it looks at; a table that keeps no history knows of none.
  virtual Result<std::vector<FileOfUpdate>> FilesOfUpdates(const std::vector<std::string>& names) {
    (void)names;
    return std::vector<FileOfUpdate>{};
  }
  /// From now on this is the newest version of the table; returns it.
  virtual Result<int64_t> MoveToLatest() = 0;
};

}  // namespace leman
