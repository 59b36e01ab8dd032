// A finished data file offered to the table for one fragment.
#pragma once

#include <cstdint>
#include <string>

namespace leman {

struct FragmentUpdate {
  int64_t fragment_id = 0;
  int64_t rows = 0;
  std::string file_name;  ///< Plain name under the table's data folder.
  int64_t size_bytes = 0;
  int32_t column_count = 1;
  int32_t major_version = 2;
  int32_t minor_version = 0;
};

}  // namespace leman
