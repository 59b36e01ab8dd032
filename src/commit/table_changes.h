// What other writers did to the table, as far as a job has to mind it.
#pragma once

#include <vector>

#include "base/result.h"
#include "table/table_transaction.h"

namespace leman {

/// Pure. kConflict, naming the version, where the table was restored or overwritten: it is not the table any more that
/// the job was asked to fill, even where fragments look the same.
Status CheckSameTable(const std::vector<TableChange>& changes);

/// Pure. Whether rows that were there before are now in fragments that no plan of an earlier version has.
bool AnyRowsMoved(const std::vector<TableChange>& changes);

}  // namespace leman
