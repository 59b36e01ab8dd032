// What a table's history tells about a data file that an update by others wrote.
#pragma once

#include <string>
#include <vector>

#include "model/fragment_info.h"

namespace leman {

/// An update by others that wrote data files with rows of earlier fragments: a column that it did not set came along.
struct FileOfUpdate {
  std::string name;
  bool sets_inputs = false;  ///< It changed a column that the function reads, or does not say which columns it changed.
  bool sets_output = false;  ///< It changed the output column by itself, not with all the other columns of the row.
  std::vector<FragmentInfo> came_from;  ///< The fragments of its rows, as they were just before.
  bool sources_known = true;            ///< False: they are not known any more.
};

}  // namespace leman
