// What a plan needs to know of one fragment of a table version.
#pragma once

#include <cstdint>
#include <string>

namespace leman {

struct FragmentInfo {
  int64_t id = 0;
  int64_t physical_rows = 0;  ///< Deleted rows included.
  int64_t deleted_rows = 0;
  std::string input_identity;  ///< Names of the data files that hold the input columns here.
  std::string where_identity;  ///< Names of the data files that hold the columns of `where`; empty without one.
  std::string output_file;     ///< Name of the data file that holds the output column here; empty: all null.
};

}  // namespace leman
