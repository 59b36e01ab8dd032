#include "arrow_exchange.h"

#include "model/arrow_slice.h"

namespace leman::python {
namespace nb = nanobind;
namespace {

// Moves the struct out of a PyCapsule of the Arrow PyCapsule interface.
template <typename Owner, typename CStruct>
Owner TakeFrom(nb::handle capsule, const char* name) {
  auto* raw = static_cast<CStruct*>(PyCapsule_GetPointer(capsule.ptr(), name));
  if (raw == nullptr) throw nb::python_error();
  return Owner(raw);
}

}  // namespace

ArrowExchange::ArrowExchange() {
  const nb::module_ pyarrow = nb::module_::import_("pyarrow");
  import_array_ = pyarrow.attr("Array").attr("_import_from_c");
  import_batch_ = pyarrow.attr("RecordBatch").attr("_import_from_c");
}

OwnedSchema CopyOf(const ArrowSchema& schema) { return FirstColumns(schema, schema.n_children); }

nb::object ArrowExchange::ToArray(OwnedArray array, const ArrowSchema& type) const {
  OwnedSchema schema = CopyOf(type);
  return import_array_(reinterpret_cast<uintptr_t>(array.get()), reinterpret_cast<uintptr_t>(schema.get()));
}

nb::object ArrowExchange::ToRecordBatch(OwnedArray array, const ArrowSchema& schema) const {
  OwnedSchema copy = CopyOf(schema);
  return import_batch_(reinterpret_cast<uintptr_t>(array.get()), reinterpret_cast<uintptr_t>(copy.get()));
}

OwnedArray ArrowExchange::FromArray(nb::handle array) {
  const nb::object capsules = array.attr("__arrow_c_array__")();
  return TakeFrom<OwnedArray, ArrowArray>(capsules[1], "arrow_array");
}

OwnedSchema ArrowExchange::FromField(nb::handle field) {
  const nb::object capsule = field.attr("__arrow_c_schema__")();
  return TakeFrom<OwnedSchema, ArrowSchema>(capsule, "arrow_schema");
}

OwnedStream ArrowExchange::FromReader(nb::handle reader) {
  const nb::object capsule = reader.attr("__arrow_c_stream__")();
  return TakeFrom<OwnedStream, ArrowArrayStream>(capsule, "arrow_array_stream");
}

}  // namespace leman::python
