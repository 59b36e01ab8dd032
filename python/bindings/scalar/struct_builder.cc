// The builder of structs: dicts and other mappings by name, tuples by order, other objects by attribute.
#include <utility>
#include <vector>

#include "scalar/array_export.h"
#include "scalar/user_exception.h"
#include "scalar/value_builder.h"

namespace leman::python::scalar {
namespace {

bool HasAttribute(PyObject* value, const char* name) { return PyObject_HasAttrString(value, name) != 0; }

bool IsNamedTuple(PyObject* value) { return !PyTuple_CheckExact(value) && HasAttribute(value, "_fields"); }

class StructBuilder final : public ValueBuilder {
 public:
  explicit StructBuilder(const ArrowType& type) : type_(type) {
    for (const ArrowType& child : type.children) children_.push_back(MakeChildBuilder(child));
  }

  void Reserve(int64_t rows) override {
    for (const BuilderPtr& child : children_) child->Reserve(rows);
  }

  bool Append(PyObject* value, Refusal* why) override {
    if (value == Py_None) return AppendNull(), true;
    if (!AppendFields(value, why)) return false;
    validity_.AppendValid();
    return true;
  }

  void AppendNull() override {
    for (const BuilderPtr& child : children_) child->AppendNull();
    validity_.AppendNull();
  }

  [[nodiscard]] int64_t length() const override { return validity_.length(); }

  void Truncate(int64_t length) override {
    validity_.Truncate(length);
    for (const BuilderPtr& child : children_) child->Truncate(length);
  }

  bool Finish(OwnedArray* out, int64_t* bad_row, Refusal* why) override {
    const int64_t rows = length();
    const int64_t nulls = validity_.null_count();
    std::vector<OwnedArray> children(children_.size());
    for (size_t i = 0; i < children_.size(); ++i) {
      if (!children_[i]->Finish(&children[i], bad_row, why)) return false;
    }
    std::vector<Buffer> buffers;
    buffers.push_back(validity_.Take());
    *out = ExportArray(rows, nulls, std::move(buffers), std::move(children));
    return true;
  }

 private:
  bool AppendFields(PyObject* value, Refusal* why) {
    if (PyDict_Check(value)) return FromDict(value, why);
    if (PyTuple_Check(value) && !IsNamedTuple(value)) return FromTuple(value, why);
    if (PyUnicode_Check(value) || PyBytes_Check(value) || PyList_Check(value) || PyLong_Check(value)) {
      return why->Type(Expected());
    }
    const std::string lazy = LazyResult(value);
    if (!lazy.empty()) return why->Type(lazy);
    if (!PyTuple_Check(value) && PyMapping_Check(value) && HasAttribute(value, "keys")) {
      const PyRef dict = PyRef::Steal(PyDict_New());
      if (!dict || PyDict_Update(dict.get(), value) != 0) return why->FromPending("reading it as a mapping");
      return FromDict(dict.get(), why);
    }
    return FromAttributes(value, why);
  }

  bool AppendField(size_t i, PyObject* value, Refusal* why) {
    if (children_[i]->Append(value, why)) return true;
    if (!IsMissing(value)) return why->Inside("field '" + type_.children[i].name + "'", value);
    PyErr_Clear();
    *why = {};
    children_[i]->Truncate(length());
    children_[i]->AppendNull();
    return true;
  }

  bool FromDict(PyObject* dict, Refusal* why) {
    Py_ssize_t found = 0;
    for (size_t i = 0; i < children_.size(); ++i) {
      const PyRef value = PyRef::Borrow(PyDict_GetItemWithError(dict, type_.children[i].key.get()));
      if (!value && PyErr_Occurred() != nullptr) return why->FromPending("reading it as a mapping");
      if (!value) {
        children_[i]->AppendNull();
        continue;
      }
      ++found;
      if (!AppendField(i, value.get(), why)) return false;
    }
    return found == PyDict_GET_SIZE(dict) ? true : RefuseUnknownKey(dict, why);
  }

  // A misspelt key would otherwise be a column of nulls.
  bool RefuseUnknownKey(PyObject* dict, Refusal* why) {
    PyObject* key = nullptr;
    Py_ssize_t position = 0;
    while (PyDict_Next(dict, &position, &key, nullptr) != 0) {
      bool is_known = false;
      for (const ArrowType& child : type_.children) {
        is_known = is_known || (PyUnicode_Check(key) && PyUnicode_Compare(key, child.key.get()) == 0);
      }
      if (!is_known) return why->Value("unknown field " + BoundedRepr(key) + "; " + Expected());
    }
    return true;
  }

  bool FromTuple(PyObject* tuple, Refusal* why) {
    if (PyTuple_GET_SIZE(tuple) != static_cast<Py_ssize_t>(children_.size())) {
      return why->Value("expected " + std::to_string(children_.size()) + " items, got " +
                        std::to_string(PyTuple_GET_SIZE(tuple)));
    }
    for (size_t i = 0; i < children_.size(); ++i) {
      if (!AppendField(i, PyTuple_GET_ITEM(tuple, static_cast<Py_ssize_t>(i)), why)) return false;
    }
    return true;
  }

  bool FromAttributes(PyObject* value, Refusal* why) {
    for (size_t i = 0; i < children_.size(); ++i) {
      const PyRef field = PyRef::Steal(PyObject_GetAttr(value, type_.children[i].key.get()));
      if (!field) {
        if (PyErr_ExceptionMatches(PyExc_AttributeError) == 0) return why->FromPending("reading an attribute");
        PyErr_Clear();
        return why->Type("it has no attribute '" + type_.children[i].name + "'; " + Expected());
      }
      if (!AppendField(i, field.get(), why)) return false;
    }
    return true;
  }

  [[nodiscard]] std::string Expected() const {
    std::string names;
    for (const ArrowType& child : type_.children) names += (names.empty() ? "" : ", ") + child.name;
    return "expected a dict, tuple, dataclass or NamedTuple of " + names;
  }

  const ArrowType& type_;
  std::vector<BuilderPtr> children_;
  Validity validity_;
};

}  // namespace

BuilderPtr MakeStructBuilder(const ArrowType& type) { return std::make_unique<StructBuilder>(type); }

}  // namespace leman::python::scalar
