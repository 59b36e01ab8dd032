// The builder of lists, from Python sequences and from buffers.
#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "scalar/array_export.h"
#include "scalar/user_exception.h"
#include "scalar/value_builder.h"

namespace leman::python::scalar {
namespace {

// A buffer held open.
class BufferView {
 public:
  BufferView() = default;
  BufferView(const BufferView&) = delete;
  BufferView& operator=(const BufferView&) = delete;
  ~BufferView() {
    if (view_.obj != nullptr) PyBuffer_Release(&view_);
  }
  // False, without an exception, for what has no buffer of plain elements.
  bool Open(PyObject* value) {
    if (PyObject_CheckBuffer(value) && PyObject_GetBuffer(value, &view_, PyBUF_RECORDS_RO) == 0) return true;
    PyErr_Clear();
    return false;
  }
  [[nodiscard]] const Py_buffer& get() const { return view_; }

 private:
  Py_buffer view_{};
};

PyRef CallIfPresent(PyObject* value, const char* method) {
  const PyRef callable = PyRef::Steal(PyObject_GetAttrString(value, method));
  if (!callable) return PyErr_Clear(), PyRef();
  return PyRef::Steal(PyObject_CallNoArgs(callable.get()));
}

// A masked array's buffer shows the values under the mask.
bool IsMasked(PyObject* value) {
  if (std::strcmp(Py_TYPE(value)->tp_name, "numpy.ndarray") == 0) return false;
  return PyObject_HasAttrString(value, "mask") != 0 && PyObject_HasAttrString(value, "filled") != 0;
}

class ListBuilder final : public ValueBuilder {
 public:
  explicit ListBuilder(const ArrowType& type)
      : type_(type), child_(MakeChildBuilder(type.children[0])), width_(WidthOf(type.id)) {
    PutOffset(0);
  }

  void Reserve(int64_t rows) override {
    if (type_.id == TypeId::kFixedList)
      return child_->Reserve(std::min(rows, kMostGuessed / (type_.size + 1)) * type_.size);
    expected_ = length() + rows;
    offsets_.Reserve((expected_ + 1) * width_);
  }

  bool Append(PyObject* value, Refusal* why) override {
    if (value == Py_None) return AppendNull(), true;
    const int64_t begin = child_->length();
    if (!AppendElements(value, why)) return false;
    const int64_t count = child_->length() - begin;
    if (type_.id == TypeId::kFixedList && count != type_.size) {
      return why->Value("expected " + std::to_string(type_.size) + " elements, got " + std::to_string(count));
    }
    if (width_ == 4 && child_->length() > std::numeric_limits<int32_t>::max()) {
      return why->Set(PyExc_OverflowError,
                      "a list column holds 2^31 elements a batch: declare large_list, or use a smaller batch_size");
    }
    validity_.AppendValid();
    PutOffset(length());
    const int64_t total = GuessTotal(child_->length(), length(), expected_, kMostGuessed);
    if (total > child_->length()) child_->Reserve(total - child_->length());
    return true;
  }

  void AppendNull() override {
    for (int64_t i = 0; type_.id == TypeId::kFixedList && i < type_.size; ++i) child_->AppendNull();
    validity_.AppendNull();
    PutOffset(length());
  }

  [[nodiscard]] int64_t length() const override { return validity_.length(); }

  void Truncate(int64_t length) override {
    validity_.Truncate(length);
    child_->Truncate(OffsetAt(length));
  }

  bool Finish(OwnedArray* out, int64_t* bad_row, Refusal* why) override {
    const int64_t rows = length();
    const int64_t nulls = validity_.null_count();
    std::vector<OwnedArray> children(1);
    if (!child_->Finish(&children[0], bad_row, why)) {
      *bad_row = -1;
      return false;
    }
    std::vector<Buffer> buffers;
    buffers.push_back(validity_.Take());
    if (width_ != 0) buffers.push_back(std::move(offsets_));
    *out = ExportArray(rows, nulls, std::move(buffers), std::move(children));
    return true;
  }

 private:
  static constexpr int64_t kMostGuessed = int64_t{64} << 20;

  static int64_t WidthOf(TypeId id) { return id == TypeId::kFixedList ? 0 : id == TypeId::kList ? 4 : 8; }

  bool AppendElements(PyObject* value, Refusal* why) {
    if (PyList_Check(value) || PyTuple_Check(value)) return child_->AppendItems(value, why);
    if (PyUnicode_Check(value) || PyDict_Check(value)) return Refuse(value, why);
    if (IsMasked(value)) return AppendFrom(CallIfPresent(value, "tolist"), why);
    if (child_->TakesBuffers()) {
      bool handled = false;
      if (!AppendView(value, &handled, why)) return false;
      if (handled) return true;
    }
    if (!PyObject_CheckBuffer(value)) {
      // pyarrow, then pandas, torch and whatever else becomes an array.
      for (const char* method : {"to_pylist", "__array__"}) {
        PyRef converted = CallIfPresent(value, method);
        if (converted || PyErr_Occurred() != nullptr) return AppendFrom(std::move(converted), why);
      }
    }
    return AppendSequence(value, why);
  }

  // What a conversion gave: a list, or an array with a buffer. Neither is converted again.
  bool AppendFrom(PyRef converted, Refusal* why) {
    if (!converted) return why->FromPending("converting it");
    if (PyList_Check(converted.get())) return child_->AppendItems(converted.get(), why);
    bool handled = false;
    if (child_->TakesBuffers() && !AppendView(converted.get(), &handled, why)) return false;
    return handled ? true : AppendSequence(converted.get(), why);
  }

  bool AppendView(PyObject* value, bool* handled, Refusal* why) {
    BufferView view;
    if (!view.Open(value)) return true;
    if (view.get().ndim == 0) return Refuse(value, why);
    if (view.get().ndim != 1) {
      return why->Value("it has " + std::to_string(view.get().ndim) + " dimensions, expected 1");
    }
    return child_->AppendBuffer(view.get(), handled, why);
  }

  bool AppendSequence(PyObject* value, Refusal* why) {
    if (!PySequence_Check(value)) return Refuse(value, why);
    const PyRef items = PyRef::Steal(PySequence_Fast(value, "not a sequence"));
    if (!items) return PyErr_Clear(), Refuse(value, why);
    return child_->AppendItems(items.get(), why);
  }

  static bool Refuse(PyObject* value, Refusal* why) {
    const std::string lazy = LazyResult(value);
    return why->Type(lazy.empty() ? "not a list, tuple or array; use list(...) if that is meant" : lazy);
  }

  void PutOffset(int64_t index) {
    if (width_ == 0) return;
    offsets_.Reserve((index + 1) * width_);
    const int64_t end = child_->length();
    const auto narrow = static_cast<int32_t>(end);
    if (width_ == 4) {
      std::memcpy(offsets_.data() + index * 4, &narrow, 4);
    } else {
      std::memcpy(offsets_.data() + index * 8, &end, 8);
    }
  }

  [[nodiscard]] int64_t OffsetAt(int64_t index) const {
    if (width_ == 0) return index * type_.size;
    int32_t narrow = 0;
    int64_t wide = 0;
    if (width_ == 8) {
      std::memcpy(&wide, offsets_.data() + index * 8, 8);
      return wide;
    }
    std::memcpy(&narrow, offsets_.data() + index * 4, 4);
    return narrow;
  }

  const ArrowType& type_;
  BuilderPtr child_;
  int64_t width_;
  Validity validity_;
  Buffer offsets_;
  int64_t expected_ = 0;
};

}  // namespace

BuilderPtr MakeListBuilder(const ArrowType& type) { return std::make_unique<ListBuilder>(type); }

}  // namespace leman::python::scalar
