// What is left to pyarrow: the types with no conversion here. Everything needs the GIL.
#pragma once

#include "model/arrow_c_data.h"
#include "scalar/py_ref.h"

namespace leman::python::scalar {

/// pyarrow.DataType of a borrowed schema; empty with a Python exception set.
PyRef ImportPyarrowType(const ArrowSchema& schema);

/// pyarrow.Array over `length` rows of `array`, beginning `skip` rows after its own offset. The memory stays borrowed:
/// the result must be dropped while `array` is alive. Empty with a Python exception set.
PyRef ImportPyarrowSlice(const ArrowArray& array, int64_t skip, int64_t length, PyObject* type);

/// pyarrow.array(values, type=type); empty with a Python exception set.
PyRef MakePyarrowArray(PyObject* values, PyObject* type);

/// Moves a pyarrow.Array out through the C Data Interface; false with a Python exception set.
bool ExportPyarrowArray(PyObject* array, ArrowArray* out);

/// The tzinfo that pyarrow gives to the timestamps of `timezone`; empty with a Python exception set.
PyRef PyarrowTimezone(const char* timezone);

/// Calls a function of a module by keyword-free arguments (stolen-free: `args` is a borrowed tuple).
PyRef CallModuleFunction(const char* module, const char* function, PyObject* args, PyObject* kwargs = nullptr);

}  // namespace leman::python::scalar
