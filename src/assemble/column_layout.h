// How the fields of a schema map to the columns of a file, and whether the columns' lengths agree.
#pragma once

#include <vector>

#include "assemble/lance_file.h"
#include "base/result.h"

namespace leman {

/// What joining files must know of one column.
struct ColumnRole {
  bool struct_header = false;  ///< Version 2.0: one page without data, however many rows.
};

/// One role a column. kUnsupported, with the reason, if the pages of `file` cannot be joined with those of others;
/// kCorrupt if its columns do not hold the rows that its schema says.
Result<std::vector<ColumnRole>> RolesOfColumns(const LanceFile& file);

}  // namespace leman
