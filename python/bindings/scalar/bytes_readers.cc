// Readers of text and binary.
#include "scalar/value_reader.h"

namespace leman::python::scalar {
namespace {

// Of 8 bytes or more: the last word overlaps the one before, so that no byte is looked at alone.
bool IsAscii(const char* data, int64_t size) {
  uint64_t bits = LoadAt<uint64_t>(data + size - 8, 0);
  for (const char* end = data + size - 8; data < end; data += 8) bits |= LoadAt<uint64_t>(data, 0);
  return (bits & 0x8080808080808080U) == 0;
}

// ASCII needs no decoding: the str is made at its size and filled.
PyObject* BoxText(const char* data, int64_t size) {
  if (size < 8 || !IsAscii(data, size)) return PyUnicode_DecodeUTF8(data, size, nullptr);
  PyObject* text = PyUnicode_New(size, 127);
  if (text != nullptr) std::memcpy(PyUnicode_1BYTE_DATA(text), data, static_cast<size_t>(size));
  return text;
}

PyObject* BoxBytes(const char* data, int64_t size) { return PyBytes_FromStringAndSize(data, size); }

using Box = PyObject* (*)(const char*, int64_t);

template <typename Offset, Box kBox>
class OffsetReader final : public ValueReader {
 public:
  OffsetReader(const ArrowArray& array, int64_t skip)
      : ValueReader(array, skip), offsets_(array.buffers[1]), data_(static_cast<const char*>(array.buffers[2])) {}

  PyObject* Read(int64_t row) const override {
    if (IsNull(row)) return NewNone();
    const int64_t begin = LoadAt<Offset>(offsets_, At(row));
    const int64_t size = LoadAt<Offset>(offsets_, At(row) + 1) - begin;
    return size == 0 ? kBox("", 0) : kBox(data_ + begin, size);
  }

 private:
  const void* offsets_;
  const char* data_;
};

// A view is 16 bytes: the size, then the text itself when it has at most 12 bytes, or else a prefix of 4, the index of
// a data buffer and the offset in it.
template <Box kBox>
class ViewReader final : public ValueReader {
 public:
  ViewReader(const ArrowArray& array, int64_t skip)
      : ValueReader(array, skip), views_(static_cast<const char*>(array.buffers[1])), buffers_(array.buffers + 2) {}

  PyObject* Read(int64_t row) const override {
    if (IsNull(row)) return NewNone();
    const char* view = views_ + At(row) * 16;
    const auto size = LoadAt<int32_t>(view, 0);
    if (size <= 12) return kBox(view + 4, size);
    const auto* data = static_cast<const char*>(buffers_[LoadAt<int32_t>(view, 2)]);
    return kBox(data + LoadAt<int32_t>(view, 3), size);
  }

 private:
  const char* views_;
  const void* const* buffers_;
};

class FixedBinaryReader final : public ValueReader {
 public:
  FixedBinaryReader(const ArrowArray& array, int64_t skip, int64_t width)
      : ValueReader(array, skip), data_(static_cast<const char*>(array.buffers[1])), width_(width) {}

  PyObject* Read(int64_t row) const override {
    if (IsNull(row)) return NewNone();
    return width_ == 0 ? BoxBytes("", 0) : BoxBytes(data_ + At(row) * width_, width_);
  }

 private:
  const char* data_;
  int64_t width_;
};

}  // namespace

ReaderPtr MakeBytesReader(const ArrowType& type, const ArrowArray& array, int64_t skip) {
  switch (type.id) {
    case TypeId::kUtf8:
      return std::make_unique<OffsetReader<int32_t, BoxText>>(array, skip);
    case TypeId::kLargeUtf8:
      return std::make_unique<OffsetReader<int64_t, BoxText>>(array, skip);
    case TypeId::kUtf8View:
      return std::make_unique<ViewReader<BoxText>>(array, skip);
    case TypeId::kBinary:
      return std::make_unique<OffsetReader<int32_t, BoxBytes>>(array, skip);
    case TypeId::kLargeBinary:
      return std::make_unique<OffsetReader<int64_t, BoxBytes>>(array, skip);
    case TypeId::kBinaryView:
      return std::make_unique<ViewReader<BoxBytes>>(array, skip);
    default:
      return std::make_unique<FixedBinaryReader>(array, skip, type.size);
  }
}

}  // namespace leman::python::scalar
