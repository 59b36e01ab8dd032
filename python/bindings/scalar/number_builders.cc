// Builders of bool, integers and floats.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "scalar/array_export.h"
#include "scalar/element_buffer.h"
#include "scalar/number_unboxing.h"
#include "scalar/user_exception.h"

namespace leman::python::scalar {
namespace {

template <typename T>
constexpr bool kIsFloat = std::is_floating_point_v<T> || std::is_same_v<T, Half>;

template <typename T>
bool Unbox(PyObject* value, const ArrowType& type, T* out, Refusal* why) {
  if constexpr (kIsFloat<T>) {
    double wide = 0;
    return UnboxDouble(value, type, &wide, why) && NarrowDouble(wide, type, out, why);
  } else {
    return UnboxInteger<T>(value, type, out, why);
  }
}

// One element of a buffer of another number type.
template <typename T, typename Source>
bool ConvertElement(Source source, const ArrowType& type, T* out, Refusal* why) {
  if constexpr (std::is_same_v<Source, Half>) {
    return ConvertElement<T, double>(HalfToDouble(source.bits), type, out, why);
  } else if constexpr (kIsFloat<T>) {
    return NarrowDouble(static_cast<double>(source), type, out, why);
  } else if constexpr (std::is_floating_point_v<Source>) {
    return why->Type("not an integer; use .astype(...) if that is meant");
  } else {
    if (!std::in_range<T>(source)) return why->Set(PyExc_OverflowError, RangeReason<T>(type));
    *out = static_cast<T>(source);
    return true;
  }
}

constexpr Py_ssize_t kFloatsInBlock = 16;

// Of the items of a list, copies a block to `out`, or nothing where one is no exact float or too large for T.
template <typename T>
bool CopyBlock(PyObject* const* items, uint8_t* out) {
  // Without a branch for each item. Reading exact floats runs no Python code, so the items stay where they are.
  bool is_exact = true;
  for (Py_ssize_t i = 0; i < kFloatsInBlock; ++i) is_exact &= Py_TYPE(items[i]) == &PyFloat_Type;
  if (!is_exact) return false;
  T numbers[kFloatsInBlock];
  for (Py_ssize_t i = 0; i < kFloatsInBlock; ++i) numbers[i] = static_cast<T>(PyFloat_AS_DOUBLE(items[i]));
  if constexpr (!std::is_same_v<T, double>) {
    bool is_finite = true;  // An infinity may have been one before: that is for who looks at each item.
    for (const T number : numbers) is_finite &= std::abs(number) <= std::numeric_limits<T>::max() || number != number;
    if (!is_finite) return false;
  }
  std::memcpy(out, numbers, sizeof numbers);
  return true;
}

// Copies items of a list to `out`, up to the first that is no exact float or too large for T; how many these are.
template <typename T>
Py_ssize_t CopyFloats(PyObject* const* items, Py_ssize_t count, uint8_t* out) {
  Py_ssize_t done = 0;
  while (done < count) {
    const auto at = [out](Py_ssize_t index) { return out + static_cast<size_t>(index) * sizeof(T); };
    if (count - done >= kFloatsInBlock && CopyBlock<T>(items + done, at(done))) {
      done += kFloatsInBlock;
      continue;
    }
    for (const Py_ssize_t end = std::min(count, done + kFloatsInBlock); done < end; ++done) {
      if (!PyFloat_CheckExact(items[done])) return done;
      const double wide = PyFloat_AS_DOUBLE(items[done]);
      const T number = static_cast<T>(wide);
      if (std::isinf(number) && !std::isinf(wide)) return done;
      std::memcpy(at(done), &number, sizeof number);
    }
  }
  return done;
}

template <typename T>
class NumberBuilder final : public ValueBuilder {
 public:
  explicit NumberBuilder(const ArrowType& type) : type_(type) {}

  void Reserve(int64_t rows) override { values_.Reserve((length() + rows) * kWidth); }

  bool Append(PyObject* value, Refusal* why) override {
    if (value == Py_None) return AppendNull(), true;
    T number{};
    if (!Unbox<T>(value, type_, &number, why)) return false;
    Push(number);
    validity_.AppendValid();
    return true;
  }

  bool AppendItems(PyObject* sequence, Refusal* why) override {
    if constexpr (kIsFloat<T> && !std::is_same_v<T, Half>) {
      const Py_ssize_t count = PySequence_Fast_GET_SIZE(sequence);
      Reserve(count);
      const Py_ssize_t done = CopyFloats<T>(PySequence_Fast_ITEMS(sequence), count, values_.data() + length() * kWidth);
      if (done == count) return validity_.AppendValid(count), true;
    }
    return ValueBuilder::AppendItems(sequence, why);
  }

  [[nodiscard]] bool TakesBuffers() const override { return true; }

  bool AppendBuffer(const Py_buffer& buffer, bool* handled, Refusal* why) override {
    const auto element = ElementOf(buffer);
    *handled = element.has_value();
    if (!element) return true;
    const int64_t count = ElementCount(buffer);
    Reserve(count);
    if (element->kind == kKind && element->width == kWidth && IsContiguous(buffer)) {
      if (count != 0) {
        std::memcpy(values_.data() + length() * kWidth, buffer.buf, static_cast<size_t>(count * kWidth));
      }
    } else if (!Convert(buffer, *element, handled, why) || !*handled) {
      return !*handled;
    }
    validity_.AppendValid(count);
    return true;
  }

  void AppendNull() override {
    Push(T{});
    validity_.AppendNull();
  }

  [[nodiscard]] int64_t length() const override { return validity_.length(); }
  void Truncate(int64_t length) override { validity_.Truncate(length); }

  bool Finish(OwnedArray* out, int64_t*, Refusal*) override {
    const int64_t rows = length();
    const int64_t nulls = validity_.null_count();
    values_.Reserve(1);
    values_.Trim(rows * kWidth);
    std::vector<Buffer> buffers;
    buffers.push_back(validity_.Take());
    buffers.push_back(std::move(values_));
    *out = ExportArray(rows, nulls, std::move(buffers));
    return true;
  }

 private:
  static constexpr auto kWidth = static_cast<int64_t>(sizeof(T));
  static constexpr ElementKind kKind = kIsFloat<T>           ? ElementKind::kFloat
                                       : std::is_signed_v<T> ? ElementKind::kSigned
                                                             : ElementKind::kUnsigned;

  void Push(T number) {
    const int64_t at = length() * kWidth;
    values_.Reserve(at + kWidth);
    std::memcpy(values_.data() + at, &number, sizeof number);
  }

  template <typename Source>
  bool ConvertFrom(const Py_buffer& buffer, Refusal* why) {
    const int64_t begin = length();
    for (int64_t i = 0; i < ElementCount(buffer); ++i) {
      T number{};
      if (!ConvertElement<T, Source>(ElementAt<Source>(buffer, i), type_, &number, why)) {
        why->reason = "element " + std::to_string(i) + ": " + why->reason;
        return false;
      }
      std::memcpy(values_.data() + (begin + i) * kWidth, &number, sizeof number);
    }
    return true;
  }

  bool Convert(const Py_buffer& buffer, Element element, bool* handled, Refusal* why) {
    switch (element.kind) {
      case ElementKind::kBool:
        return ConvertFrom<uint8_t>(buffer, why);
      case ElementKind::kSigned:
        if (element.width == 1) return ConvertFrom<int8_t>(buffer, why);
        if (element.width == 2) return ConvertFrom<int16_t>(buffer, why);
        if (element.width == 4) return ConvertFrom<int32_t>(buffer, why);
        if (element.width == 8) return ConvertFrom<int64_t>(buffer, why);
        break;
      case ElementKind::kUnsigned:
        if (element.width == 1) return ConvertFrom<uint8_t>(buffer, why);
        if (element.width == 2) return ConvertFrom<uint16_t>(buffer, why);
        if (element.width == 4) return ConvertFrom<uint32_t>(buffer, why);
        if (element.width == 8) return ConvertFrom<uint64_t>(buffer, why);
        break;
      case ElementKind::kFloat:
        if (element.width == 2) return ConvertFrom<Half>(buffer, why);
        if (element.width == 4) return ConvertFrom<float>(buffer, why);
        if (element.width == 8) return ConvertFrom<double>(buffer, why);
        break;
    }
    *handled = false;
    return true;
  }

  const ArrowType& type_;
  Validity validity_;
  Buffer values_;
};

class BoolBuilder final : public ValueBuilder {
 public:
  explicit BoolBuilder(const ArrowType& type) : type_(type) {}

  void Reserve(int64_t rows) override { bits_.Reserve((length() + rows + 7) / 8); }

  bool Append(PyObject* value, Refusal* why) override {
    if (value == Py_None) return AppendNull(), true;
    bool truth = false;
    if (!UnboxBool(value, type_, &truth, why)) return false;
    Push(truth);
    validity_.AppendValid();
    return true;
  }

  [[nodiscard]] bool TakesBuffers() const override { return true; }

  bool AppendBuffer(const Py_buffer& buffer, bool* handled, Refusal*) override {
    const auto element = ElementOf(buffer);
    *handled = element && element->kind == ElementKind::kBool && element->width == 1;
    for (int64_t i = 0; *handled && i < ElementCount(buffer); ++i) {
      Push(ElementAt<uint8_t>(buffer, i) != 0);
      validity_.AppendValid();
    }
    return true;
  }

  void AppendNull() override {
    Push(false);
    validity_.AppendNull();
  }

  [[nodiscard]] int64_t length() const override { return validity_.length(); }
  void Truncate(int64_t length) override { validity_.Truncate(length); }

  bool Finish(OwnedArray* out, int64_t*, Refusal*) override {
    const int64_t rows = length();
    const int64_t nulls = validity_.null_count();
    bits_.Reserve(1);
    if ((rows & 7) != 0) bits_.data()[rows >> 3] &= static_cast<uint8_t>((1U << (rows & 7)) - 1);
    std::vector<Buffer> buffers;
    buffers.push_back(validity_.Take());
    buffers.push_back(std::move(bits_));
    *out = ExportArray(rows, nulls, std::move(buffers));
    return true;
  }

 private:
  void Push(bool truth) {
    const int64_t at = length();
    bits_.Reserve(at / 8 + 1);
    uint8_t& byte = bits_.data()[at >> 3];
    const auto bit = static_cast<uint8_t>(1U << (at & 7));
    byte = static_cast<uint8_t>(truth ? byte | bit : byte & ~bit);
  }

  const ArrowType& type_;
  Validity validity_;
  Buffer bits_;
};

template <typename T>
BuilderPtr Make(const ArrowType& type) {
  return std::make_unique<NumberBuilder<T>>(type);
}

}  // namespace

BuilderPtr MakeNumberBuilder(const ArrowType& type) {
  switch (type.id) {
    case TypeId::kBool:
      return std::make_unique<BoolBuilder>(type);
    case TypeId::kInt8:
      return Make<int8_t>(type);
    case TypeId::kInt16:
      return Make<int16_t>(type);
    case TypeId::kInt32:
      return Make<int32_t>(type);
    case TypeId::kInt64:
      return Make<int64_t>(type);
    case TypeId::kUInt8:
      return Make<uint8_t>(type);
    case TypeId::kUInt16:
      return Make<uint16_t>(type);
    case TypeId::kUInt32:
      return Make<uint32_t>(type);
    case TypeId::kUInt64:
      return Make<uint64_t>(type);
    case TypeId::kHalf:
      return Make<Half>(type);
    case TypeId::kFloat:
      return Make<float>(type);
    default:
      return Make<double>(type);
  }
}

}  // namespace leman::python::scalar
