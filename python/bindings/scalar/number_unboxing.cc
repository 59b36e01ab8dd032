#include "scalar/number_unboxing.h"

#include <cstring>

namespace leman::python::scalar {
namespace {

// numpy.bool has neither __index__ nor bool as its base. numpy is asked for only when somebody imported it.
bool IsNumpyBool(PyObject* value) {
  const PyRef name = PyRef::Steal(PyUnicode_FromString("numpy"));
  const PyRef numpy = PyRef::Steal(name ? PyImport_GetModule(name.get()) : nullptr);
  const PyRef type = PyRef::Steal(numpy ? PyObject_GetAttrString(numpy.get(), "bool_") : nullptr);
  const int is_bool = type ? PyObject_IsInstance(value, type.get()) : 0;
  PyErr_Clear();
  return is_bool == 1;
}

bool HasFloat(PyObject* value) {
  const PyNumberMethods* number = Py_TYPE(value)->tp_as_number;
  return number != nullptr && (number->nb_float != nullptr || number->nb_index != nullptr);
}

}  // namespace

bool RefuseNumber(PyObject* value, const ArrowType& type, Refusal* why) {
  const std::string lazy = LazyResult(value);
  if (!lazy.empty()) return why->Type(lazy);
  const bool is_integer = type.id > TypeId::kBool && type.id < TypeId::kHalf;
  if (is_integer && HasFloat(value)) return why->Type("not an integer; use int(...) or round(...) if that is meant");
  if (type.id == TypeId::kBool && HasFloat(value)) return why->Type("not a bool; use bool(...) if that is meant");
  return why->Type(std::string("not ") + (is_integer                 ? "an integer"
                                          : type.id == TypeId::kBool ? "a bool"
                                                                     : "a number"));
}

bool RefuseFloatRange(const ArrowType& type, Refusal* why) {
  return why->Set(PyExc_OverflowError, "too large for " + type.text);
}

bool UnboxDouble(PyObject* value, const ArrowType& type, double* out, Refusal* why) {
  if (PyFloat_Check(value)) {
    *out = PyFloat_AS_DOUBLE(value);
    return true;
  }
  if (!PyLong_Check(value) && !HasFloat(value)) {
    bool truth = false;
    if (!IsNumpyBool(value)) return RefuseNumber(value, type, why);
    if (!UnboxBool(value, type, &truth, why)) return false;
    *out = truth ? 1 : 0;
    return true;
  }
  *out = PyFloat_AsDouble(value);
  if (*out != -1.0 || PyErr_Occurred() == nullptr) return true;
  const bool is_overflow = PyErr_ExceptionMatches(PyExc_OverflowError) != 0;
  PyErr_Clear();
  return is_overflow ? RefuseFloatRange(type, why) : RefuseNumber(value, type, why);
}

bool UnboxBool(PyObject* value, const ArrowType& type, bool* out, Refusal* why) {
  if (value == Py_True || value == Py_False) {
    *out = value == Py_True;
    return true;
  }
  if (!IsNumpyBool(value)) return RefuseNumber(value, type, why);
  const int truth = PyObject_IsTrue(value);
  if (truth < 0) return why->FromPending("bool()");
  *out = truth != 0;
  return true;
}

}  // namespace leman::python::scalar
