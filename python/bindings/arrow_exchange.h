// Arrow data between the engine and pyarrow, by the C Data Interface; no value is copied.
#pragma once

#include <nanobind/nanobind.h>

#include "model/arrow_c_data.h"

namespace leman::python {

/// pyarrow's functions that take and give C structs, looked up once. All methods need the GIL and may throw
/// nanobind::python_error.
class ArrowExchange {
 public:
  ArrowExchange();

  nanobind::object ToArray(OwnedArray array, const ArrowSchema& type) const;
  nanobind::object ToRecordBatch(OwnedArray array, const ArrowSchema& schema) const;
  static OwnedArray FromArray(nanobind::handle array);
  static OwnedSchema FromField(nanobind::handle field);
  static OwnedStream FromReader(nanobind::handle reader);

 private:
  nanobind::object import_array_;
  nanobind::object import_batch_;
};

/// A deep copy of a schema, which pyarrow takes over when it imports.
OwnedSchema CopyOf(const ArrowSchema& schema);

}  // namespace leman::python
