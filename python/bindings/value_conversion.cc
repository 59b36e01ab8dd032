#include "value_conversion.h"

#include <nanobind/stl/string.h>

#include <array>

#include "arrow_exchange.h"
#include "scalar/scalar_caller.h"

namespace leman::python {
namespace nb = nanobind;

nb::object ArrayOfResults(const nb::object& callable, int64_t rows, const nb::object& field) {
  const nb::module_ pyarrow = nb::module_::import_("pyarrow");
  const OwnedSchema no_columns = ArrowExchange::FromField(pyarrow.attr("schema")(nb::list()));
  const OwnedSchema type = ArrowExchange::FromField(field);
  auto caller = ScalarCaller::Make(callable.ptr(), *no_columns.get(), *type.get(), {});
  if (!caller.ok()) throw nb::type_error(caller.error().message.c_str());
  ArrowArray inputs{};
  std::array<const void*, 1> no_buffers{};
  inputs.length = rows;
  inputs.n_buffers = 1;
  inputs.buffers = no_buffers.data();
  int64_t failed_row = -1;
  auto values = (*caller)->Call(inputs, nullptr, &failed_row);
  if (values.ok()) return ArrowExchange{}.ToArray(std::move(values).value(), *type.get());
  const UserException& failure = (*caller)->last_exception();
  if (failure.empty()) throw std::runtime_error(values.error().message);
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(failure.object.get())), failure.object.get());
  throw nb::python_error();
}

}  // namespace leman::python
