#include "scalar/value_builder.h"

#include "scalar/user_exception.h"

namespace leman::python::scalar {

bool Refusal::FromPending(const char* what) {
  if (PyErr_ExceptionMatches(PyExc_KeyboardInterrupt) != 0) return false;
  const UserException taken = TakeException();
  return Set(reinterpret_cast<PyObject*>(Py_TYPE(taken.object.get())),
             std::string(what) + " raised " + taken.type_name + ": " + taken.message);
}

bool Refusal::Inside(const std::string& where, PyObject* value) {
  if (exception == nullptr && PyErr_Occurred() != nullptr) FromPending("converting it");
  reason = where + " is " + BoundedRepr(value) + " (" + TypeName(Py_TYPE(value)) + "): " + reason;
  return false;
}

bool ValueBuilder::AppendItems(PyObject* sequence, Refusal* why) {
  const bool is_list = PyList_Check(sequence) != 0;
  const Py_ssize_t count = PySequence_Fast_GET_SIZE(sequence);
  for (Py_ssize_t i = 0; i < count; ++i) {
    // Converting an item may run code that changes the list.
    if (is_list && PyList_GET_SIZE(sequence) != count) return why->Value("the list changed while it was read");
    const PyRef item = PyRef::Borrow(PySequence_Fast_GET_ITEM(sequence, i));
    if (!Append(item.get(), why)) return why->Inside("element " + std::to_string(i), item.get());
  }
  return true;
}

bool ValueBuilder::AppendBuffer(const Py_buffer&, bool* handled, Refusal*) {
  *handled = false;
  return true;
}

void ValueBuilder::Replace(int64_t, PyObject*) {}

bool IsMissing(PyObject* value) {
  const std::string type = TypeName(Py_TYPE(value));
  return type.starts_with("pandas.") && (type.ends_with(".NAType") || type.ends_with(".NaTType"));
}

std::string LazyResult(PyObject* value) {
  if (PyCoro_CheckExact(value)) {
    // Closed, so that Python does not warn of one that was never awaited.
    const PyRef closed = PyRef::Steal(PyObject_CallMethod(value, "close", nullptr));
    if (!closed) PyErr_Clear();
    return "a coroutine is not a value: declare the function with async def, or await inside";
  }
  if (PyAsyncGen_CheckExact(value)) return "an async generator is not a value: return one value a row";
  if (PyGen_Check(value)) return "a generator is not a value: return one value a row, or a list of its items";
  return {};
}

BuilderPtr MakeBuilder(const ArrowType& type) {
  if (type.id == TypeId::kPyarrow) return MakePyarrowBuilder(type, false);
  if (type.id == TypeId::kStruct) return MakeStructBuilder(type);
  if (IsList(type.id)) return MakeListBuilder(type);
  if (IsNumber(type.id)) return MakeNumberBuilder(type);
  if (type.id < TypeId::kDate32) return MakeBytesBuilder(type);
  return MakeTimeBuilder(type);
}

BuilderPtr MakeChildBuilder(const ArrowType& type) {
  return type.id == TypeId::kPyarrow ? MakePyarrowBuilder(type, true) : MakeBuilder(type);
}

}  // namespace leman::python::scalar
