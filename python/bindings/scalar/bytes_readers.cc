// Readers of text and binary.
#include "scalar/value_reader.h"

namespace leman::python::scalar {
namespace {

constexpr uint64_t kNotAscii = 0x8080808080808080U;

// Of 8 bytes or more: the last word overlaps the one before, so that no byte is looked at alone.
bool IsAscii(const char* data, int64_t size) {
  uint64_t bits = LoadAt<uint64_t>(data + size - 8, 0);
  for (const char* end = data + size - 8; data < end; data += 8) bits |= LoadAt<uint64_t>(data, 0);
  return (bits & kNotAscii) == 0;
}

// Copies 8 bytes or more; false: some are not ASCII.
bool CopyAscii(const char* data, int64_t size, char* out) {
  const uint64_t last = LoadAt<uint64_t>(data + size - 8, 0);
  uint64_t bits = last;
  std::memcpy(out + size - 8, &last, 8);
  for (const char* end = data + size - 8; data < end; data += 8, out += 8) {
    const uint64_t word = LoadAt<uint64_t>(data, 0);
    bits |= word;
    std::memcpy(out, &word, 8);
  }
  return (bits & kNotAscii) == 0;
}

// The most that CPython's allocator of small objects gives, less the head of a str.
constexpr int64_t kMaxReusedText = 512 - static_cast<int64_t>(sizeof(PyASCIIObject)) - 1;

// Makes strs. A str costs as much to allocate and free as a short function to call, so the last one is filled again if
// nobody else has it: as invisible to the function as that freed memory is given out again.
class TextBox {
 public:
  PyObject* operator()(const char* data, int64_t size) {
    if (size < 8) return PyUnicode_DecodeUTF8(data, size, nullptr);
    if (size > kMaxReusedText) return NewText(data, size);
    if (size > capacity_ || !IsOurs()) {
      last_ = PyRef::Steal(NewText(data, size));
      capacity_ = last_ && PyUnicode_IS_ASCII(last_.get()) ? size : 0;
      return Py_XNewRef(last_.get());
    }
    auto* head = reinterpret_cast<PyASCIIObject*>(last_.get());
    auto* text = reinterpret_cast<char*>(head + 1);
    if (!CopyAscii(data, size, text)) return PyUnicode_DecodeUTF8(data, size, nullptr);
    text[size] = 0;
    head->length = size;
    head->hash = -1;
    return Py_NewRef(last_.get());
  }

 private:
  // ASCII needs no decoding: the str is made at its size and filled.
  static PyObject* NewText(const char* data, int64_t size) {
    if (!IsAscii(data, size)) return PyUnicode_DecodeUTF8(data, size, nullptr);
    PyObject* text = PyUnicode_New(size, 127);
    if (text != nullptr) std::memcpy(PyUnicode_1BYTE_DATA(text), data, static_cast<size_t>(size));
    return text;
  }

  // Whether no one has the last str but this, and nothing is derived from what it holds.
  [[nodiscard]] bool IsOurs() const {
#ifdef Py_GIL_DISABLED
    return false;
#else
    PyObject* text = last_.get();
    if (text == nullptr || Py_REFCNT(text) != 1 || PyUnicode_CHECK_INTERNED(text) != 0) return false;
#if PY_VERSION_HEX < 0x030C0000
    if (reinterpret_cast<PyASCIIObject*>(text)->wstr != nullptr) return false;
#endif
    return true;
#endif
  }

  PyRef last_;
  int64_t capacity_ = 0;  ///< Characters that the last str has room for.
};

struct BytesBox {
  PyObject* operator()(const char* data, int64_t size) const { return PyBytes_FromStringAndSize(data, size); }
};

template <typename Offset, typename Box>
class OffsetReader final : public ValueReader {
 public:
  OffsetReader(const ArrowArray& array, int64_t skip)
      : ValueReader(array, skip), offsets_(array.buffers[1]), data_(static_cast<const char*>(array.buffers[2])) {}

  PyObject* Read(int64_t row) const override {
    if (IsNull(row)) return NewNone();
    const int64_t begin = LoadAt<Offset>(offsets_, At(row));
    const int64_t size = LoadAt<Offset>(offsets_, At(row) + 1) - begin;
    return size == 0 ? box_("", 0) : box_(data_ + begin, size);
  }

 private:
  const void* offsets_;
  const char* data_;
  mutable Box box_;
};

// A view is 16 bytes: the size, then the text itself when it has at most 12 bytes, or else a prefix of 4, the index of
// a data buffer and the offset in it.
template <typename Box>
class ViewReader final : public ValueReader {
 public:
  ViewReader(const ArrowArray& array, int64_t skip)
      : ValueReader(array, skip), views_(static_cast<const char*>(array.buffers[1])), buffers_(array.buffers + 2) {}

  PyObject* Read(int64_t row) const override {
    if (IsNull(row)) return NewNone();
    const char* view = views_ + At(row) * 16;
    const auto size = LoadAt<int32_t>(view, 0);
    if (size <= 12) return box_(view + 4, size);
    const auto* data = static_cast<const char*>(buffers_[LoadAt<int32_t>(view, 2)]);
    return box_(data + LoadAt<int32_t>(view, 3), size);
  }

 private:
  const char* views_;
  const void* const* buffers_;
  mutable Box box_;
};

class FixedBinaryReader final : public ValueReader {
 public:
  FixedBinaryReader(const ArrowArray& array, int64_t skip, int64_t width)
      : ValueReader(array, skip), data_(static_cast<const char*>(array.buffers[1])), width_(width) {}

  PyObject* Read(int64_t row) const override {
    if (IsNull(row)) return NewNone();
    return width_ == 0 ? BytesBox()("", 0) : BytesBox()(data_ + At(row) * width_, width_);
  }

 private:
  const char* data_;
  int64_t width_;
};

}  // namespace

ReaderPtr MakeBytesReader(const ArrowType& type, const ArrowArray& array, int64_t skip) {
  switch (type.id) {
    case TypeId::kUtf8:
      return std::make_unique<OffsetReader<int32_t, TextBox>>(array, skip);
    case TypeId::kLargeUtf8:
      return std::make_unique<OffsetReader<int64_t, TextBox>>(array, skip);
    case TypeId::kUtf8View:
      return std::make_unique<ViewReader<TextBox>>(array, skip);
    case TypeId::kBinary:
      return std::make_unique<OffsetReader<int32_t, BytesBox>>(array, skip);
    case TypeId::kLargeBinary:
      return std::make_unique<OffsetReader<int64_t, BytesBox>>(array, skip);
    case TypeId::kBinaryView:
      return std::make_unique<ViewReader<BytesBox>>(array, skip);
    default:
      return std::make_unique<FixedBinaryReader>(array, skip, type.size);
  }
}

}  // namespace leman::python::scalar
