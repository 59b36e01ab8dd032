// The elements of a Python buffer (a numpy array, array.array, memoryview): their kind, and reading them strided.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>

#include "scalar/py_ref.h"

namespace leman::python::scalar {

enum class ElementKind { kBool, kSigned, kUnsigned, kFloat };

struct Element {
  ElementKind kind;
  int64_t width;
};

/// What a buffer's format says of its elements; nothing for formats that are no plain numbers of this byte order.
inline std::optional<Element> ElementOf(const Py_buffer& buffer) {
  const char* format = buffer.format == nullptr ? "B" : buffer.format;
  if (*format == '@' || *format == '=' || *format == '<') ++format;
  if ((*format == '>' || *format == '!') && buffer.itemsize == 1) ++format;
  if (*format == '\0' || format[1] != '\0') return std::nullopt;
  const int64_t width = buffer.itemsize;
  if (*format == '?') return Element{ElementKind::kBool, width};
  if (std::strchr("bhilqn", *format) != nullptr) return Element{ElementKind::kSigned, width};
  if (std::strchr("BHILQN", *format) != nullptr) return Element{ElementKind::kUnsigned, width};
  if (std::strchr("efd", *format) != nullptr) return Element{ElementKind::kFloat, width};
  return std::nullopt;
}

[[nodiscard]] inline int64_t ElementCount(const Py_buffer& buffer) { return buffer.shape[0]; }

[[nodiscard]] inline bool IsContiguous(const Py_buffer& buffer) {
  return buffer.strides == nullptr || buffer.strides[0] == buffer.itemsize || buffer.shape[0] <= 1;
}

template <typename T>
T ElementAt(const Py_buffer& buffer, int64_t index) {
  const int64_t stride = buffer.strides == nullptr ? buffer.itemsize : buffer.strides[0];
  T value;
  std::memcpy(&value, static_cast<const char*>(buffer.buf) + index * stride, sizeof(T));
  return value;
}

}  // namespace leman::python::scalar
