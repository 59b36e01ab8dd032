#include "commit/table_changes.h"

#include <algorithm>

namespace leman {

Status CheckSameTable(const std::vector<TableChange>& changes) {
  for (const TableChange& change : changes) {
    const bool restored = change.operation == "Restore";
    if (!restored && change.operation != "Overwrite") continue;
    return MakeError(ErrorKind::kConflict, "the table was ", restored ? "restored to an older version" : "overwritten",
                     " while the job ran (version ", change.version,
                     "); the job changes nothing of what is there now. Run the backfill again to fill it");
  }
  return Ok();
}

bool AnyRowsMoved(const std::vector<TableChange>& changes) {
  return std::any_of(changes.begin(), changes.end(), [](const TableChange& change) { return change.moves_rows; });
}

}  // namespace leman
