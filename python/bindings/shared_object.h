// A Python object that a C++ thread holds.
#pragma once

#include <nanobind/nanobind.h>

#include <utility>

namespace leman::python {

/// Dropped with the GIL held, wherever that happens.
class SharedObject {
 public:
  explicit SharedObject(nanobind::object object) : object_(std::move(object)) {}
  SharedObject(const SharedObject&) = delete;
  SharedObject& operator=(const SharedObject&) = delete;
  ~SharedObject() {
    const nanobind::gil_scoped_acquire gil;
    object_.reset();
  }
  [[nodiscard]] const nanobind::object& get() const { return object_; }

 private:
  nanobind::object object_;
};

}  // namespace leman::python
