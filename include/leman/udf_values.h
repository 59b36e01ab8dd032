// The types that functions take and give, and typed views of Arrow columns: what leman/udf.h is made of.
//
// Header-only, C++20, standard library alone. Everything here has hidden visibility: two libraries of UDFs in one
// process must not share an inline variable or a template's statics.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "leman/udf_abi.h"

#pragma GCC visibility push(hidden)
namespace leman::udf {

/// Bytes that are no text: an argument or result of this type is an Arrow binary.
struct Bytes {
  std::string_view data;
};
/// As a result.
struct OwnedBytes {
  std::string data;
};

/// A text as a template argument: `Field<"width", int32_t>`.
template <size_t N>
struct Name {
  char text[N];
  // NOLINTNEXTLINE(google-explicit-constructor): literals are to be written as such.
  constexpr Name(const char (&literal)[N]) { std::copy_n(literal, N, text); }
};

/// A member of a struct result, with its name: `std::tuple<Field<"width", int32_t>, Field<"height", int32_t>>`.
template <Name kName, typename T>
struct Field {
  using Value = T;
  T value;
  // NOLINTNEXTLINE(google-explicit-constructor): so that {w, h} makes a tuple of fields.
  Field(T given) : value(std::move(given)) {}
  static constexpr const char* name() { return kName.text; }
};

// ---- Kinds of types ----------------------------------------------------------------------------------------------

template <typename T>
struct OptionalOf : std::false_type {
  using Value = T;
};
template <typename T>
struct OptionalOf<std::optional<T>> : std::true_type {
  using Value = T;
};
template <typename T>
struct FieldOf : std::false_type {
  using Value = T;
};
template <Name kName, typename T>
struct FieldOf<Field<kName, T>> : std::true_type {
  using Value = T;
};

/// The Arrow format character of a number type; 0 for other types.
template <typename T>
constexpr char FormatOf() {
  if constexpr (std::is_same_v<T, bool>) return 'b';
  if constexpr (std::is_floating_point_v<T> && sizeof(T) == 4) return 'f';
  if constexpr (std::is_floating_point_v<T> && sizeof(T) == 8) return 'g';
  if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
    constexpr bool is_signed = std::is_signed_v<T>;
    if constexpr (sizeof(T) == 1) return is_signed ? 'c' : 'C';
    if constexpr (sizeof(T) == 2) return is_signed ? 's' : 'S';
    if constexpr (sizeof(T) == 4) return is_signed ? 'i' : 'I';
    if constexpr (sizeof(T) == 8) return is_signed ? 'l' : 'L';
  }
  return 0;
}
template <typename T>
concept Number = FormatOf<T>()
!= 0;

// ---- Arguments ---------------------------------------------------------------------------------------------------

inline bool BitAt(const void* bits, int64_t index) {
  return ((static_cast<const uint8_t*>(bits)[index >> 3] >> (index & 7)) & 1) != 0;
}

/// The rows of one column; row 0 is the first row of the batch.
class ColumnBase {
 public:
  ColumnBase(const ArrowArray& array, int64_t skip, int64_t rows)
      : validity_(array.null_count == 0 || array.n_buffers == 0 ? nullptr : array.buffers[0]),
        at_(array.offset + skip),
        rows_(rows) {}
  [[nodiscard]] int64_t size() const { return rows_; }
  [[nodiscard]] bool may_have_nulls() const { return validity_ != nullptr; }
  [[nodiscard]] bool is_null(int64_t row) const { return validity_ != nullptr && !BitAt(validity_, at_ + row); }

 protected:
  const void* validity_;
  int64_t at_;
  int64_t rows_;
};

/// A column of values of type T. `Accepts(format)` says which Arrow types it reads.
template <typename T>
class Column;

template <Number T>
class Column<T> : public ColumnBase {
 public:
  static bool Accepts(std::string_view format) { return format.size() == 1 && format[0] == FormatOf<T>(); }
  static std::string Preferred() { return std::string(1, FormatOf<T>()); }
  Column(const ArrowArray& array, const ArrowSchema&, int64_t skip, int64_t rows)
      : ColumnBase(array, skip, rows), data_(array.buffers[1]) {}
  [[nodiscard]] T operator[](int64_t row) const {
    if constexpr (std::is_same_v<T, bool>) {
      return BitAt(data_, at_ + row);
    } else {
      T value;
      std::memcpy(&value, static_cast<const char*>(data_) + (at_ + row) * static_cast<int64_t>(sizeof(T)), sizeof(T));
      return value;
    }
  }

 private:
  const void* data_;
};

/// Texts and binaries with 32-bit or 64-bit offsets.
class BytesColumn : public ColumnBase {
 public:
  BytesColumn(const ArrowArray& array, const ArrowSchema& schema, int64_t skip, int64_t rows)
      : ColumnBase(array, skip, rows),
        offsets_(array.buffers[1]),
        data_(static_cast<const char*>(array.buffers[2])),
        wide_(schema.format[0] == 'U' || schema.format[0] == 'Z') {}
  [[nodiscard]] std::string_view view(int64_t row) const {
    const int64_t begin = Offset(at_ + row);
    return {data_ + begin, static_cast<size_t>(Offset(at_ + row + 1) - begin)};
  }
  /// The bytes of `count` rows from `row` on, one row after the other; those of a null row may be anything.
  [[nodiscard]] std::string_view views(int64_t row, int64_t count) const {
    const int64_t begin = Offset(at_ + row);
    return {data_ + begin, static_cast<size_t>(Offset(at_ + row + count) - begin)};
  }

 private:
  [[nodiscard]] int64_t Offset(int64_t index) const {
    if (wide_) return Load<int64_t>(index);
    return Load<int32_t>(index);
  }
  template <typename O>
  [[nodiscard]] O Load(int64_t index) const {
    O value;
    std::memcpy(&value, static_cast<const char*>(offsets_) + index * static_cast<int64_t>(sizeof(O)), sizeof(O));
    return value;
  }

  const void* offsets_;
  const char* data_;
  bool wide_;
};

template <>
class Column<std::string_view> : public BytesColumn {
 public:
  using BytesColumn::BytesColumn;
  static bool Accepts(std::string_view format) { return format == "u" || format == "U"; }
  static std::string Preferred() { return "u"; }
  [[nodiscard]] std::string_view operator[](int64_t row) const { return view(row); }
};

template <>
class Column<std::string> : public BytesColumn {
 public:
  using BytesColumn::BytesColumn;
  static bool Accepts(std::string_view format) { return format == "u" || format == "U"; }
  static std::string Preferred() { return "u"; }
  [[nodiscard]] std::string operator[](int64_t row) const { return std::string(view(row)); }
};

template <>
class Column<Bytes> : public BytesColumn {
 public:
  using BytesColumn::BytesColumn;
  static bool Accepts(std::string_view format) {
    return format == "z" || format == "Z" || format == "u" || format == "U";
  }
  static std::string Preferred() { return "z"; }
  [[nodiscard]] Bytes operator[](int64_t row) const { return {view(row)}; }
};

/// Lists of numbers without nulls inside: list, large_list and fixed_size_list.
template <Number T>
requires(!std::is_same_v<T, bool>) class Column<std::span<const T>> : public ColumnBase {
 public:
  static bool Accepts(std::string_view format) { return format == "+l" || format == "+L" || format.starts_with("+w:"); }
  static bool AcceptsItems(std::string_view format) { return format.size() == 1 && format[0] == FormatOf<T>(); }
  static std::string Preferred() { return "+l"; }
  Column(const ArrowArray& array, const ArrowSchema& schema, int64_t skip, int64_t rows)
      : ColumnBase(array, skip, rows),
        width_(schema.format[1] == 'w' ? std::strtoll(schema.format + 3, nullptr, 10) : -1),
        wide_(schema.format[1] == 'L'),
        offsets_(width_ < 0 ? array.buffers[1] : nullptr),
        items_(*array.children[0]) {}
  [[nodiscard]] std::span<const T> operator[](int64_t row) const {
    const int64_t begin = Offset(at_ + row);
    const int64_t end = Offset(at_ + row + 1);
    if (items_.null_count != 0 && items_.buffers[0] != nullptr) {
      for (int64_t i = begin; i < end; ++i) {
        if (!BitAt(items_.buffers[0], items_.offset + i)) throw std::invalid_argument("a list has a null inside");
      }
    }
    return {static_cast<const T*>(items_.buffers[1]) + items_.offset + begin, static_cast<size_t>(end - begin)};
  }

 private:
  [[nodiscard]] int64_t Offset(int64_t index) const {
    if (width_ >= 0) return index * width_;
    if (wide_) return static_cast<const int64_t*>(offsets_)[index];
    return static_cast<const int32_t*>(offsets_)[index];
  }

  int64_t width_;
  bool wide_;
  const void* offsets_;
  const ArrowArray& items_;
};

/// A column whose nulls are values of their own.
template <typename T>
class Column<std::optional<T>> : public Column<T> {
 public:
  using Column<T>::Column;
  [[nodiscard]] std::optional<T> operator[](int64_t row) const {
    if (this->is_null(row)) return std::nullopt;
    return Column<T>::operator[](row);
  }
};

}  // namespace leman::udf
#pragma GCC visibility pop
