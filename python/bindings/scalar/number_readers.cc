// Readers of bool, integers and floats.
#include "scalar/half_float.h"
#include "scalar/value_reader.h"

namespace leman::python::scalar {
namespace {

template <typename T>
PyObject* BoxSigned(T value) {
  return PyLong_FromLong(static_cast<long>(value));
}

template <typename T>
PyObject* BoxUnsigned(T value) {
  return PyLong_FromUnsignedLong(static_cast<unsigned long>(value));
}

template <typename T>
PyObject* BoxFloat(T value) {
  return PyFloat_FromDouble(static_cast<double>(value));
}

PyObject* BoxHalf(uint16_t value) { return PyFloat_FromDouble(HalfToDouble(value)); }

template <typename T, PyObject* (*kBox)(T)>
class NumberReader final : public ValueReader {
 public:
  NumberReader(const ArrowArray& array, int64_t skip) : ValueReader(array, skip), values_(array.buffers[1]) {}

  PyObject* Read(int64_t row) const override {
    if (IsNull(row)) return NewNone();
    return kBox(LoadAt<T>(values_, At(row)));
  }

  bool ReadMany(int64_t row, int64_t count, PyObject** out) const override {
    for (int64_t i = 0; i < count; ++i) {
      out[i] = NumberReader::Read(row + i);
      if (out[i] == nullptr) return false;
    }
    return true;
  }

 private:
  const void* values_;
};

class BoolReader final : public ValueReader {
 public:
  BoolReader(const ArrowArray& array, int64_t skip) : ValueReader(array, skip), bits_(array.buffers[1]) {}

  PyObject* Read(int64_t row) const override {
    if (IsNull(row)) return NewNone();
    return PyBool_FromLong(BitAt(bits_, At(row)) ? 1 : 0);
  }

 private:
  const void* bits_;
};

template <typename T, PyObject* (*kBox)(T)>
ReaderPtr Make(const ArrowArray& array, int64_t skip) {
  return std::make_unique<NumberReader<T, kBox>>(array, skip);
}

}  // namespace

ReaderPtr MakeNumberReader(const ArrowType& type, const ArrowArray& array, int64_t skip) {
  static_assert(sizeof(long) == 8, "the boxes take 64 bits through long");
  switch (type.id) {
    case TypeId::kBool:
      return std::make_unique<BoolReader>(array, skip);
    case TypeId::kInt8:
      return Make<int8_t, BoxSigned<int8_t>>(array, skip);
    case TypeId::kInt16:
      return Make<int16_t, BoxSigned<int16_t>>(array, skip);
    case TypeId::kInt32:
      return Make<int32_t, BoxSigned<int32_t>>(array, skip);
    case TypeId::kInt64:
      return Make<int64_t, BoxSigned<int64_t>>(array, skip);
    case TypeId::kUInt8:
      return Make<uint8_t, BoxUnsigned<uint8_t>>(array, skip);
    case TypeId::kUInt16:
      return Make<uint16_t, BoxUnsigned<uint16_t>>(array, skip);
    case TypeId::kUInt32:
      return Make<uint32_t, BoxUnsigned<uint32_t>>(array, skip);
    case TypeId::kUInt64:
      return Make<uint64_t, BoxUnsigned<uint64_t>>(array, skip);
    case TypeId::kHalf:
      return Make<uint16_t, BoxHalf>(array, skip);
    case TypeId::kFloat:
      return Make<float, BoxFloat<float>>(array, skip);
    default:
      return Make<double, BoxFloat<double>>(array, skip);
  }
}

}  // namespace leman::python::scalar
