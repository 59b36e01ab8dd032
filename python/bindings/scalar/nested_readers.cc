// Readers of lists (as Python lists and as numpy arrays), structs, and what pyarrow converts.
#include <utility>
#include <vector>

#include "scalar/pyarrow_bridge.h"
#include "scalar/user_exception.h"
#include "scalar/value_reader.h"

namespace leman::python::scalar {
namespace {

struct Range {
  int64_t begin, count;
};

// Where a list row's elements are in the child.
class ListRanges {
 public:
  ListRanges(const ArrowType& type, const ArrowArray& array)
      : id_(type.id), size_(type.size), offsets_(array.n_buffers > 1 ? array.buffers[1] : nullptr) {}

  [[nodiscard]] Range Of(int64_t at) const {
    if (id_ == TypeId::kFixedList) return {at * size_, size_};
    return id_ == TypeId::kList ? Offsets<int32_t>(at) : Offsets<int64_t>(at);
  }

 private:
  template <typename Offset>
  [[nodiscard]] Range Offsets(int64_t at) const {
    const int64_t begin = LoadAt<Offset>(offsets_, at);
    return {begin, LoadAt<Offset>(offsets_, at + 1) - begin};
  }

  TypeId id_;
  int64_t size_;
  const void* offsets_;
};

class ListReader final : public ValueReader {
 public:
  ListReader(const ArrowType& type, const ArrowArray& array, int64_t skip, ReaderPtr child)
      : ValueReader(array, skip), ranges_(type, array), child_(std::move(child)) {}

  PyObject* Read(int64_t row) const override {
    if (IsNull(row)) return NewNone();
    const Range range = ranges_.Of(At(row));
    return ReadRange(*child_, range);
  }

  static PyObject* ReadRange(const ValueReader& child, Range range) {
    PyRef list = PyRef::Steal(PyList_New(range.count));
    if (!list || range.count == 0) return list.Release();
    PyObject** items = reinterpret_cast<PyListObject*>(list.get())->ob_item;
    if (!child.ReadMany(range.begin, range.count, items)) return nullptr;
    return list.Release();
  }

 private:
  ListRanges ranges_;
  ReaderPtr child_;
};

struct Dtype {
  const char* name;  // nullptr: whatever numpy makes of the list
  int64_t width;     // 0: not copied as bytes
};

Dtype DtypeOf(TypeId id) {
  switch (id) {
    case TypeId::kBool:
      return {"bool", 0};
    case TypeId::kInt8:
      return {"int8", 1};
    case TypeId::kInt16:
      return {"int16", 2};
    case TypeId::kInt32:
      return {"int32", 4};
    case TypeId::kInt64:
      return {"int64", 8};
    case TypeId::kUInt8:
      return {"uint8", 1};
    case TypeId::kUInt16:
      return {"uint16", 2};
    case TypeId::kUInt32:
      return {"uint32", 4};
    case TypeId::kUInt64:
      return {"uint64", 8};
    case TypeId::kHalf:
      return {"float16", 2};
    case TypeId::kFloat:
      return {"float32", 4};
    case TypeId::kDouble:
      return {"float64", 8};
    default:
      return {IsList(id) ? nullptr : "object", 0};
  }
}

// Lists as numpy arrays. Always a copy: a function may keep what it is given, and write into it.
class NdarrayReader final : public ValueReader {
 public:
  NdarrayReader(const ArrowType& type, const ArrowArray& array, int64_t skip, ReaderPtr child)
      : ValueReader(array, skip),
        element_(type.children[0].id),
        dtype_(DtypeOf(element_)),
        ranges_(type, array),
        child_(std::move(child)),
        values_(dtype_.width == 0 ? nullptr : static_cast<const char*>(array.children[0]->buffers[1])) {}

  // Looks numpy up; an Error when it is not installed.
  Status Open() {
    const PyRef numpy = PyRef::Steal(PyImport_ImportModule("numpy"));
    if (!numpy) return PythonFailure("an argument annotated np.ndarray");
    empty_ = PyRef::Steal(PyObject_GetAttrString(numpy.get(), "empty"));
    array_ = PyRef::Steal(PyObject_GetAttrString(numpy.get(), "array"));
    if (dtype_.name != nullptr) {
      dtype_object_ = PyRef::Steal(PyObject_CallMethod(numpy.get(), "dtype", "s", dtype_.name));
    }
    if (!empty_ || !array_ || (dtype_.name != nullptr && !dtype_object_)) return PythonFailure("numpy");
    return Ok();
  }

  PyObject* Read(int64_t row) const override {
    if (IsNull(row)) return NewNone();
    const Range range = ranges_.Of(At(row));
    const bool has_null = child_->AnyNull(range.begin, range.count);
    if (dtype_.width != 0 && !has_null) return Copy(range);
    const PyRef list = PyRef::Steal(ListReader::ReadRange(*child_, range));
    if (!list) return nullptr;
    if (!has_null) return FromList(list.get(), dtype_object_.get());
    return FromList(list.get(), NullableDtype());
  }

 private:
  [[nodiscard]] PyObject* Copy(Range range) const {
    const PyRef count = PyRef::Steal(PyLong_FromLongLong(range.count));
    if (!count) return nullptr;
    PyObject* args[] = {count.get(), dtype_object_.get()};
    PyRef array = PyRef::Steal(PyObject_Vectorcall(empty_.get(), args, 2, nullptr));
    if (!array || range.count == 0) return array.Release();
    Py_buffer view;
    if (PyObject_GetBuffer(array.get(), &view, PyBUF_WRITABLE) != 0) return nullptr;
    std::memcpy(view.buf, values_ + child_->At(range.begin) * dtype_.width,
                static_cast<size_t>(range.count * dtype_.width));
    PyBuffer_Release(&view);
    return array.Release();
  }

  [[nodiscard]] PyObject* FromList(PyObject* list, PyObject* dtype) const {
    PyObject* args[] = {list, dtype};
    return PyObject_Vectorcall(array_.get(), args, dtype == nullptr ? 1 : 2, nullptr);
  }

  // Nulls among numbers are NaN, so integers become float64; bools become objects.
  [[nodiscard]] PyObject* NullableDtype() const {
    if (element_ == TypeId::kBool) return reinterpret_cast<PyObject*>(&PyBaseObject_Type);
    const bool is_integer = element_ > TypeId::kBool && element_ < TypeId::kHalf;
    return is_integer ? reinterpret_cast<PyObject*>(&PyFloat_Type) : dtype_object_.get();
  }

  TypeId element_;
  Dtype dtype_;
  ListRanges ranges_;
  ReaderPtr child_;
  const char* values_;
  PyRef empty_, array_, dtype_object_;
};

class StructReader final : public ValueReader {
 public:
  StructReader(const ArrowType& type, const ArrowArray& array, int64_t skip, std::vector<ReaderPtr> children)
      : ValueReader(array, skip), type_(type), children_(std::move(children)) {}

  PyObject* Read(int64_t row) const override {
    if (IsNull(row)) return NewNone();
    PyRef dict = PyRef::Steal(PyDict_New());
    if (!dict) return nullptr;
    for (size_t i = 0; i < children_.size(); ++i) {
      const PyRef value = PyRef::Steal(children_[i]->Read(row));
      if (!value || PyDict_SetItem(dict.get(), type_.children[i].key.get(), value.get()) != 0) return nullptr;
    }
    return dict.Release();
  }

 private:
  const ArrowType& type_;
  std::vector<ReaderPtr> children_;
};

// The batch converted at once; where that fails, row by row, so that only the row in question fails.
class PyarrowReader final : public ValueReader {
 public:
  PyarrowReader(const ArrowArray& array, int64_t skip, PyRef slice, PyRef values)
      : ValueReader(array, skip), slice_(std::move(slice)), values_(std::move(values)) {}

  PyObject* Read(int64_t row) const override {
    if (values_) {
      PyObject* value = PyList_GET_ITEM(values_.get(), row);
      Py_INCREF(value);
      return value;
    }
    const PyRef scalar = PyRef::Steal(PySequence_GetItem(slice_.get(), row));
    return scalar ? PyObject_CallMethod(scalar.get(), "as_py", nullptr) : nullptr;
  }

 private:
  PyRef slice_, values_;
};

}  // namespace

Result<ReaderPtr> MakeListReader(const ArrowType& type, ArgumentForm form, const ArrowArray& array, int64_t skip) {
  const ArrowArray& elements = *array.children[0];
  LEMAN_ASSIGN_OR_RETURN(ReaderPtr child,
                         MakeReader(type.children[0], ArgumentForm::kPlain, elements, 0, elements.length));
  if (form == ArgumentForm::kPlain) return ReaderPtr(std::make_unique<ListReader>(type, array, skip, std::move(child)));
  auto reader = std::make_unique<NdarrayReader>(type, array, skip, std::move(child));
  LEMAN_RETURN_IF_ERROR(reader->Open());
  return ReaderPtr(std::move(reader));
}

Result<ReaderPtr> MakeStructReader(const ArrowType& type, const ArrowArray& array, int64_t skip, int64_t length) {
  std::vector<ReaderPtr> children;
  for (size_t i = 0; i < type.children.size(); ++i) {
    // A struct's own offset applies to its children as well.
    LEMAN_ASSIGN_OR_RETURN(ReaderPtr child, MakeReader(type.children[i], ArgumentForm::kPlain, *array.children[i],
                                                       array.offset + skip, length));
    children.push_back(std::move(child));
  }
  return ReaderPtr(std::make_unique<StructReader>(type, array, skip, std::move(children)));
}

Result<ReaderPtr> MakePyarrowReader(const ArrowType& type, const ArrowArray& array, int64_t skip, int64_t length) {
  PyRef slice = ImportPyarrowSlice(array, skip, length, type.pyarrow_type.get());
  if (!slice) return PythonFailure("column '" + type.name + "' (" + type.text + ")");
  PyRef values = PyRef::Steal(PyObject_CallMethod(slice.get(), "to_pylist", nullptr));
  if (!values) PyErr_Clear();
  return ReaderPtr(std::make_unique<PyarrowReader>(array, skip, std::move(slice), std::move(values)));
}

Result<ReaderPtr> MakeReader(const ArrowType& type, ArgumentForm form, const ArrowArray& array, int64_t skip,
                             int64_t length) {
  if (type.id == TypeId::kPyarrow) return MakePyarrowReader(type, array, skip, length);
  if (type.id == TypeId::kStruct) return MakeStructReader(type, array, skip, length);
  if (IsList(type.id)) return MakeListReader(type, form, array, skip);
  if (IsNumber(type.id)) return MakeNumberReader(type, array, skip);
  if (type.id < TypeId::kDate32) return MakeBytesReader(type, array, skip);
  return MakeTimeReader(type, array, skip);
}

}  // namespace leman::python::scalar
