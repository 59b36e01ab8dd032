#include "skipped_rows.h"

#include <nanobind/stl/string.h>

#include <string>

namespace leman::python {
namespace nb = nanobind;

std::vector<SkippedRow> SkippedRowsFrom(const nb::object& rows) {
  std::vector<SkippedRow> skipped;
  for (const nb::handle item : rows) {
    const auto row = nb::borrow<nb::tuple>(item);
    skipped.push_back({0, nb::cast<int64_t>(row[0]), nb::cast<std::string>(row[1]), nb::cast<std::string>(row[2]),
                       nb::cast<std::string>(row[3]), nb::cast<int64_t>(row[4])});
  }
  return skipped;
}

}  // namespace leman::python
