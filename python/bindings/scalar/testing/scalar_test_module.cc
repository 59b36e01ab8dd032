// The extension module _scalar_test: ScalarCaller for tests, without the engine around it.
#include <string>
#include <utility>
#include <vector>

#include "scalar/scalar_caller.h"

namespace leman::python {
namespace {

using scalar::PyRef;

PyRef Capsules(PyObject* object, const char* method) {
  return PyRef::Steal(PyObject_CallMethod(object, method, nullptr));
}

void DeleteArrayCapsule(PyObject* capsule) {
  auto* array = static_cast<ArrowArray*>(PyCapsule_GetPointer(capsule, "arrow_array"));
  if (array->release != nullptr) array->release(array);
  delete array;
}

std::vector<int64_t> Integers(PyObject* sequence) {
  std::vector<int64_t> numbers;
  for (Py_ssize_t i = 0; sequence != Py_None && i < PySequence_Size(sequence); ++i) {
    const PyRef item = PyRef::Steal(PySequence_GetItem(sequence, i));
    numbers.push_back(PyLong_AsLongLong(item.get()));
  }
  return numbers;
}

// on_failure(row, message, exception) -> "fail" | "null" | "retry"
RowFailureHandler Handler(PyObject* callable) {
  if (callable == Py_None) return nullptr;
  return [callable](int64_t row, const Error& error, const UserException& exception) {
    const PyRef action = PyRef::Steal(PyObject_CallFunction(callable, "LsO", static_cast<long long>(row),
                                                            error.message.c_str(), exception.object.get()));
    if (!action) PyErr_Print();
    const std::string name = action ? PyUnicode_AsUTF8(action.get()) : "fail";
    return name == "null" ? RowAction::kNull : name == "retry" ? RowAction::kRetry : RowAction::kFail;
  };
}

PyObject* Outcome(ScalarCaller* caller, Result<OwnedArray> result, int64_t failed_row) {
  const CallCounts& counts = caller->last_counts();
  const PyRef dict = PyRef::Steal(Py_BuildValue("{sLsLsL}", "calls", static_cast<long long>(counts.calls),
                                                "null_inputs", static_cast<long long>(counts.null_inputs),
                                                "failed_rows", static_cast<long long>(counts.failed_rows)));
  if (!dict) return nullptr;
  PyRef more;
  if (result.ok()) {
    auto* array = new ArrowArray;
    result.value().MoveTo(array);
    more = PyRef::Steal(Py_BuildValue("{sN}", "array", PyCapsule_New(array, "arrow_array", &DeleteArrayCapsule)));
  } else {
    const UserException& exception = caller->last_exception();
    PyObject* object = exception.empty() ? Py_None : exception.object.get();
    more =
        PyRef::Steal(Py_BuildValue("{ssssslsssssssO}", "kind", std::string(ErrorKindName(result.error().kind)).c_str(),
                                   "error", result.error().message.c_str(), "failed_row", static_cast<long>(failed_row),
                                   "type_name", exception.type_name.c_str(), "message", exception.message.c_str(),
                                   "traceback", exception.traceback.c_str(), "exception", object));
  }
  if (!more || PyDict_Update(dict.get(), more.get()) != 0) return nullptr;
  Py_INCREF(dict.get());
  return dict.get();
}

// call_scalar(callable, batch, output_field, skip_null=None, ndarray=None, selected=None, on_failure=None) -> dict
PyObject* CallScalar(PyObject*, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"callable", "batch",    "output_field", "skip_null",
                                "ndarray",  "selected", "on_failure",   nullptr};
  PyObject *callable = nullptr, *batch = nullptr, *field = nullptr;
  PyObject *skip = Py_None, *ndarray = Py_None, *selected = Py_None, *on_failure = Py_None;
  if (PyArg_ParseTupleAndKeywords(args, kwargs, "OOO|OOOO", const_cast<char**>(names), &callable, &batch, &field, &skip,
                                  &ndarray, &selected, &on_failure) == 0) {
    return nullptr;
  }
  const PyRef pair = Capsules(batch, "__arrow_c_array__");
  const PyRef output = Capsules(field, "__arrow_c_schema__");
  if (!pair || !output) return nullptr;
  auto* input_schema = static_cast<ArrowSchema*>(PyCapsule_GetPointer(PyTuple_GET_ITEM(pair.get(), 0), "arrow_schema"));
  auto* inputs = static_cast<ArrowArray*>(PyCapsule_GetPointer(PyTuple_GET_ITEM(pair.get(), 1), "arrow_array"));
  auto* output_schema = static_cast<ArrowSchema*>(PyCapsule_GetPointer(output.get(), "arrow_schema"));
  if (input_schema == nullptr || inputs == nullptr || output_schema == nullptr) return nullptr;
  std::vector<bool> skip_null;
  for (const int64_t flag : Integers(skip)) skip_null.push_back(flag != 0);
  std::vector<ArgumentForm> forms;
  for (const int64_t flag : Integers(ndarray)) {
    forms.push_back(flag != 0 ? ArgumentForm::kNdarray : ArgumentForm::kPlain);
  }
  auto caller = ScalarCaller::Make(callable, *input_schema, *output_schema, std::move(skip_null), std::move(forms));
  if (!caller.ok()) {
    PyErr_SetString(PyExc_ValueError, caller.error().message.c_str());
    return nullptr;
  }
  const auto* chosen = selected == Py_None ? nullptr : reinterpret_cast<const uint8_t*>(PyBytes_AsString(selected));
  int64_t failed_row = -1;
  auto result = caller.value()->Call(*inputs, chosen, &failed_row, Handler(on_failure));
  return Outcome(caller.value().get(), std::move(result), failed_row);
}

PyMethodDef kMethods[] = {
    {"call_scalar", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(&CallScalar)),
     METH_VARARGS | METH_KEYWORDS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

PyModuleDef kModule = {
    PyModuleDef_HEAD_INIT, "_scalar_test", nullptr, -1, kMethods, nullptr, nullptr, nullptr, nullptr};

}  // namespace
}  // namespace leman::python

PyMODINIT_FUNC PyInit__scalar_test() { return PyModule_Create(&leman::python::kModule); }
