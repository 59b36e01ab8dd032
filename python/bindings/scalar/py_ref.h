// An owned reference to a Python object.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <utility>

namespace leman::python::scalar {

/// One owned reference, dropped by the destructor. Every member but `get` and `operator bool` needs the GIL.
class PyRef {
 public:
  PyRef() = default;
  PyRef(PyRef&& other) noexcept : object_(other.Release()) {}
  PyRef& operator=(PyRef&& other) noexcept {
    if (this != &other) Reset(other.Release());
    return *this;
  }
  PyRef(const PyRef&) = delete;
  PyRef& operator=(const PyRef&) = delete;
  ~PyRef() { Py_XDECREF(object_); }

  /// Takes over a new reference (nullptr: none).
  static PyRef Steal(PyObject* object) { return PyRef(object); }
  /// Adds a reference to a borrowed object (nullptr: none).
  static PyRef Borrow(PyObject* object) {
    Py_XINCREF(object);
    return PyRef(object);
  }

  [[nodiscard]] PyObject* get() const { return object_; }
  explicit operator bool() const { return object_ != nullptr; }
  /// Gives the reference away.
  [[nodiscard]] PyObject* Release() { return std::exchange(object_, nullptr); }
  void Reset(PyObject* stolen = nullptr) { Py_XDECREF(std::exchange(object_, stolen)); }

 private:
  explicit PyRef(PyObject* stolen) : object_(stolen) {}
  PyObject* object_ = nullptr;
};

/// A new reference to None.
inline PyObject* NewNone() {
  Py_INCREF(Py_None);
  return Py_None;
}

}  // namespace leman::python::scalar
