#include "skipped_rows.h"

#include <nanobind/stl/string.h>

#include <string>

#include "scalar/user_exception.h"

namespace leman::python {
namespace nb = nanobind;

std::vector<SkippedRow> SkippedRowsFrom(const nb::object& rows) {
  std::vector<SkippedRow> skipped;
  const auto text = [](nb::handle value) { return scalar::TextOf(value.ptr()); };
  for (const nb::handle item : rows) {
    const auto row = nb::borrow<nb::tuple>(item);
    skipped.push_back(
        {0, nb::cast<int64_t>(row[0]), text(row[1]), text(row[2]), text(row[3]), nb::cast<int64_t>(row[4])});
  }
  return skipped;
}

}  // namespace leman::python
