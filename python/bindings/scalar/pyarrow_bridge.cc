#include "scalar/pyarrow_bridge.h"

namespace leman::python::scalar {
namespace {

// Borrowed structs are lent with a release that frees nothing: their owner outlives the loan.
void ReleaseLentSchema(ArrowSchema* schema) { schema->release = nullptr; }
void ReleaseLentArray(ArrowArray* array) { array->release = nullptr; }

PyRef ModuleAttribute(const char* module, const char* name) {
  const PyRef imported = PyRef::Steal(PyImport_ImportModule(module));
  if (!imported) return {};
  return PyRef::Steal(PyObject_GetAttrString(imported.get(), name));
}

}  // namespace

PyRef CallModuleFunction(const char* module, const char* function, PyObject* args, PyObject* kwargs) {
  if (args == nullptr) return {};
  const PyRef callable = ModuleAttribute(module, function);
  if (!callable) return {};
  return PyRef::Steal(PyObject_Call(callable.get(), args, kwargs));
}

PyRef ImportPyarrowType(const ArrowSchema& schema) {
  const PyRef type = ModuleAttribute("pyarrow", "DataType");
  if (!type) return {};
  ArrowSchema lent = schema;
  lent.release = &ReleaseLentSchema;
  return PyRef::Steal(PyObject_CallMethod(type.get(), "_import_from_c", "K",
                                          static_cast<unsigned long long>(reinterpret_cast<uintptr_t>(&lent))));
}

PyRef ImportPyarrowSlice(const ArrowArray& array, int64_t skip, int64_t length, PyObject* type) {
  const PyRef array_class = ModuleAttribute("pyarrow", "Array");
  if (!array_class) return {};
  ArrowArray lent = array;
  lent.offset += skip;
  lent.length = length;
  lent.null_count = array.null_count == 0 ? 0 : -1;
  lent.release = &ReleaseLentArray;
  return PyRef::Steal(PyObject_CallMethod(array_class.get(), "_import_from_c", "KO",
                                          static_cast<unsigned long long>(reinterpret_cast<uintptr_t>(&lent)), type));
}

PyRef MakePyarrowArray(PyObject* values, PyObject* type) {
  const PyRef args = PyRef::Steal(PyTuple_Pack(1, values));
  const PyRef kwargs = PyRef::Steal(Py_BuildValue("{sO}", "type", type));
  if (!args || !kwargs) return {};
  return CallModuleFunction("pyarrow", "array", args.get(), kwargs.get());
}

bool ExportPyarrowArray(PyObject* array, ArrowArray* out) {
  const PyRef done = PyRef::Steal(PyObject_CallMethod(
      array, "_export_to_c", "K", static_cast<unsigned long long>(reinterpret_cast<uintptr_t>(out))));
  return static_cast<bool>(done);
}

PyRef PyarrowTimezone(const char* timezone) {
  const PyRef args = PyRef::Steal(Py_BuildValue("(s)", timezone));
  return CallModuleFunction("pyarrow.lib", "string_to_tzinfo", args.get());
}

}  // namespace leman::python::scalar
