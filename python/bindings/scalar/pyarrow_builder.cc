// The builder of the types that are left to pyarrow: the values are collected and converted at the end.
#include <new>

#include "scalar/pyarrow_bridge.h"
#include "scalar/user_exception.h"
#include "scalar/value_builder.h"

namespace leman::python::scalar {
namespace {

class PyarrowBuilder final : public ValueBuilder {
 public:
  PyarrowBuilder(const ArrowType& type, bool checks_each)
      : type_(type), checks_each_(checks_each), values_(PyRef::Steal(PyList_New(0))) {
    if (!values_) throw std::bad_alloc();
  }

  void Reserve(int64_t) override {}

  bool Append(PyObject* value, Refusal* why) override {
    if (value != Py_None) {
      const std::string lazy = LazyResult(value);
      if (!lazy.empty()) return why->Type(lazy);
      if (checks_each_ && !Check(value, why)) return false;
    }
    Push(value);
    return true;
  }

  void AppendNull() override { Push(Py_None); }

  [[nodiscard]] int64_t length() const override { return PyList_GET_SIZE(values_.get()); }

  void Truncate(int64_t to) override {
    if (PyList_SetSlice(values_.get(), to, length(), nullptr) != 0) throw std::bad_alloc();
  }

  void Replace(int64_t row, PyObject* value) override {
    Py_INCREF(value);
    PyList_SetItem(values_.get(), row, value);
  }

  bool Finish(OwnedArray* out, int64_t* bad_row, Refusal* why) override {
    if (checked_ == 0) {
      const PyRef array = MakePyarrowArray(values_.get(), type_.pyarrow_type.get());
      if (array && ExportPyarrowArray(array.get(), out->Out())) return true;
      PyErr_Clear();
    }
    // Something in it is refused: find the row. What was checked before need not be checked again after a Replace.
    for (; checked_ < length(); ++checked_) {
      PyObject* value = PyList_GET_ITEM(values_.get(), checked_);
      if (value == Py_None || Check(value, why)) continue;
      *bad_row = checked_;
      why->refused = PyRef::Borrow(value);
      return false;
    }
    const PyRef array = MakePyarrowArray(values_.get(), type_.pyarrow_type.get());
    if (array && ExportPyarrowArray(array.get(), out->Out())) return true;
    *bad_row = -1;
    return why->FromPending("pyarrow.array");
  }

 private:
  void Push(PyObject* value) {
    if (PyList_Append(values_.get(), value) != 0) {
      PyErr_Clear();
      throw std::bad_alloc();
    }
  }

  bool Check(PyObject* value, Refusal* why) {
    const PyRef one = PyRef::Steal(PyList_New(1));
    if (!one) return why->FromPending("pyarrow.array");
    Py_INCREF(value);
    PyList_SET_ITEM(one.get(), 0, value);
    const PyRef array = MakePyarrowArray(one.get(), type_.pyarrow_type.get());
    return array ? true : why->FromPending("pyarrow.array");
  }

  const ArrowType& type_;
  bool checks_each_;
  PyRef values_;
  int64_t checked_ = 0;
};

}  // namespace

BuilderPtr MakePyarrowBuilder(const ArrowType& type, bool checks_each) {
  return std::make_unique<PyarrowBuilder>(type, checks_each);
}

}  // namespace leman::python::scalar
