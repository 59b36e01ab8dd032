// Typed views of Arrow columns, and typed results into Arrow arrays: what leman/udf.h is made of.
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

// ---- Results -----------------------------------------------------------------------------------------------------

/// Memory of a finished array and its children; the array's release deletes it.
struct ArrayOwner {
  std::vector<std::vector<uint8_t>> buffers;
  std::vector<const void*> pointers;
  std::vector<ArrowArray> children;
  std::vector<ArrowArray*> child_pointers;

  ArrayOwner() = default;
  ArrayOwner(const ArrayOwner&) = delete;
  ArrayOwner& operator=(const ArrayOwner&) = delete;
  ~ArrayOwner() {
    for (ArrowArray& child : children) {
      if (child.release != nullptr) child.release(&child);
    }
  }
};

/// Hands `owner` over as an array of `rows` rows; a null entry of `absent` buffers is allowed for validity alone.
inline void Export(std::unique_ptr<ArrayOwner> owner, int64_t rows, int64_t nulls, ArrowArray* out) {
  for (size_t i = 0; i < owner->buffers.size(); ++i) {
    const bool absent = i == 0 && nulls == 0;
    owner->pointers.push_back(absent ? nullptr : owner->buffers[i].data());
  }
  for (ArrowArray& child : owner->children) owner->child_pointers.push_back(&child);
  *out = ArrowArray{};
  out->length = rows;
  out->null_count = nulls;
  out->n_buffers = static_cast<int64_t>(owner->pointers.size());
  out->buffers = owner->pointers.data();
  out->n_children = static_cast<int64_t>(owner->children.size());
  out->children = owner->child_pointers.empty() ? nullptr : owner->child_pointers.data();
  out->release = [](ArrowArray* array) {
    const std::unique_ptr<ArrayOwner> owned(static_cast<ArrayOwner*>(array->private_data));
    array->release = nullptr;
  };
  out->private_data = owner.release();
}

/// Which rows are null; nothing is stored until one is.
class Validity {
 public:
  explicit Validity(int64_t rows) : rows_(rows) {}
  void SetNull(int64_t row) {
    if (bits_.empty()) bits_.assign(static_cast<size_t>((rows_ + 7) / 8), 0xFF);
    uint8_t& byte = bits_[static_cast<size_t>(row >> 3)];
    const auto bit = static_cast<uint8_t>(1U << (row & 7));
    if ((byte & bit) != 0) ++nulls_;
    byte = static_cast<uint8_t>(byte & ~bit);
  }
  [[nodiscard]] int64_t nulls() const { return nulls_; }
  std::vector<uint8_t> Take() { return std::move(bits_); }

 private:
  int64_t rows_;
  int64_t nulls_ = 0;
  std::vector<uint8_t> bits_;
};

/// Collects results of type R, one for each row from 0 on, in order.
template <typename R>
class Results;

template <Number R>
class Results<R> {
 public:
  explicit Results(int64_t rows)
      : validity_(rows),
        data_(std::is_same_v<R, bool> ? static_cast<size_t>((rows + 7) / 8) : static_cast<size_t>(rows) * sizeof(R)) {}
  /// Straight into the buffer; for loops without nulls and failures.
  [[nodiscard]] R* data() requires(!std::is_same_v<R, bool>) { return reinterpret_cast<R*>(data_.data()); }
  void Set(int64_t row, R value) {
    if constexpr (std::is_same_v<R, bool>) {
      if (value) data_[static_cast<size_t>(row >> 3)] |= static_cast<uint8_t>(1U << (row & 7));
    } else {
      std::memcpy(data_.data() + static_cast<size_t>(row) * sizeof(R), &value, sizeof(R));
    }
  }
  void SetNull(int64_t row) { validity_.SetNull(row); }
  void Finish(int64_t rows, ArrowArray* out) {
    auto owner = std::make_unique<ArrayOwner>();
    const int64_t nulls = validity_.nulls();
    owner->buffers.push_back(validity_.Take());
    owner->buffers.push_back(std::move(data_));
    Export(std::move(owner), rows, nulls, out);
  }

 private:
  Validity validity_;
  std::vector<uint8_t> data_;
};

/// Texts and binaries, with 32-bit offsets.
template <typename R>
class BytesResults {
 public:
  explicit BytesResults(int64_t rows) : validity_(rows), offsets_(static_cast<size_t>(rows + 1) * sizeof(int32_t)) {}
  void SetNull(int64_t row) {
    validity_.SetNull(row);
    SetEnd(row);
  }
  void Finish(int64_t rows, ArrowArray* out) {
    auto owner = std::make_unique<ArrayOwner>();
    const int64_t nulls = validity_.nulls();
    owner->buffers.push_back(validity_.Take());
    owner->buffers.push_back(std::move(offsets_));
    if (data_.empty()) data_.push_back(0);  // a buffer that has to be there, even if nobody reads it
    owner->buffers.push_back(std::move(data_));
    Export(std::move(owner), rows, nulls, out);
  }

 protected:
  void SetBytes(int64_t row, std::string_view value) {
    if (data_.size() + value.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
      throw std::length_error("the results of one batch exceed 2 GiB; use a smaller batch_size");
    }
    const auto* begin = reinterpret_cast<const uint8_t*>(value.data());
    data_.insert(data_.end(), begin, begin + value.size());
    SetEnd(row);
  }

 private:
  void SetEnd(int64_t row) {
    const auto end = static_cast<int32_t>(data_.size());
    std::memcpy(offsets_.data() + static_cast<size_t>(row + 1) * sizeof(int32_t), &end, sizeof end);
  }

  Validity validity_;
  std::vector<uint8_t> offsets_;
  std::vector<uint8_t> data_;
};

template <typename R>
requires(std::is_same_v<R, std::string> || std::is_same_v<R, std::string_view>) class Results<R>
    : public BytesResults<R> {
 public:
  using BytesResults<R>::BytesResults;
  void Set(int64_t row, std::string_view value) { this->SetBytes(row, value); }
};

template <typename R>
requires(std::is_same_v<R, Bytes> || std::is_same_v<R, OwnedBytes>) class Results<R> : public BytesResults<R> {
 public:
  using BytesResults<R>::BytesResults;
  void Set(int64_t row, const R& value) { this->SetBytes(row, value.data); }
};

/// Items of lists: appended one after the other.
template <Number T>
requires(!std::is_same_v<T, bool>) class Items {
 public:
  void Append(const T* items, size_t count) {
    const auto* begin = reinterpret_cast<const uint8_t*>(items);
    data_.insert(data_.end(), begin, begin + count * sizeof(T));
    count_ += static_cast<int64_t>(count);
  }
  void AppendZeros(size_t count) {
    data_.resize(data_.size() + count * sizeof(T));
    count_ += static_cast<int64_t>(count);
  }
  void Reserve(size_t count) { data_.reserve(count * sizeof(T)); }
  [[nodiscard]] int64_t count() const { return count_; }
  void Finish(ArrowArray* out) {
    auto owner = std::make_unique<ArrayOwner>();
    owner->buffers.emplace_back();
    if (data_.empty()) data_.push_back(0);
    owner->buffers.push_back(std::move(data_));
    Export(std::move(owner), count_, 0, out);
  }

 private:
  std::vector<uint8_t> data_;
  int64_t count_ = 0;
};

template <Number T>
class Results<std::vector<T>> {
 public:
  explicit Results(int64_t rows) : validity_(rows), offsets_(static_cast<size_t>(rows + 1) * sizeof(int32_t)) {}
  void Set(int64_t row, const std::vector<T>& value) {
    if (items_.count() + static_cast<int64_t>(value.size()) > std::numeric_limits<int32_t>::max()) {
      throw std::length_error("the lists of one batch have more than 2^31 items; use a smaller batch_size");
    }
    items_.Append(value.data(), value.size());
    SetEnd(row);
  }
  void SetNull(int64_t row) {
    validity_.SetNull(row);
    SetEnd(row);
  }
  void Finish(int64_t rows, ArrowArray* out) {
    auto owner = std::make_unique<ArrayOwner>();
    const int64_t nulls = validity_.nulls();
    owner->buffers.push_back(validity_.Take());
    owner->buffers.push_back(std::move(offsets_));
    owner->children.emplace_back();
    items_.Finish(&owner->children[0]);
    Export(std::move(owner), rows, nulls, out);
  }

 private:
  void SetEnd(int64_t row) {
    const auto end = static_cast<int32_t>(items_.count());
    std::memcpy(offsets_.data() + static_cast<size_t>(row + 1) * sizeof(int32_t), &end, sizeof end);
  }

  Validity validity_;
  std::vector<uint8_t> offsets_;
  Items<T> items_;
};

template <Number T, size_t N>
class Results<std::array<T, N>> {
 public:
  explicit Results(int64_t rows) : validity_(rows) { items_.Reserve(static_cast<size_t>(rows) * N); }
  void Set(int64_t, const std::array<T, N>& value) { items_.Append(value.data(), N); }
  void SetNull(int64_t row) {
    validity_.SetNull(row);
    items_.AppendZeros(N);
  }
  void Finish(int64_t rows, ArrowArray* out) {
    auto owner = std::make_unique<ArrayOwner>();
    const int64_t nulls = validity_.nulls();
    owner->buffers.push_back(validity_.Take());
    owner->children.emplace_back();
    items_.Finish(&owner->children[0]);
    Export(std::move(owner), rows, nulls, out);
  }

 private:
  Validity validity_;
  Items<T> items_;
};

template <typename T>
class Results<std::optional<T>> : public Results<T> {
 public:
  using Results<T>::Results;
  void Set(int64_t row, const std::optional<T>& value) {
    if (value) {
      Results<T>::Set(row, *value);
    } else {
      this->SetNull(row);
    }
  }
};

template <typename... Members>
class Results<std::tuple<Members...>> {
 public:
  explicit Results(int64_t rows) : validity_(rows), members_{Results<typename FieldOf<Members>::Value>(rows)...} {}
  void Set(int64_t row, const std::tuple<Members...>& value) {
    SetEach(row, value, std::index_sequence_for<Members...>{});
  }
  void SetNull(int64_t row) {
    validity_.SetNull(row);
    std::apply([row](auto&... member) { (member.SetNull(row), ...); }, members_);
  }
  void Finish(int64_t rows, ArrowArray* out) {
    auto owner = std::make_unique<ArrayOwner>();
    const int64_t nulls = validity_.nulls();
    owner->buffers.push_back(validity_.Take());
    owner->children.resize(sizeof...(Members));
    size_t at = 0;
    std::apply([&](auto&... member) { (member.Finish(rows, &owner->children[at++]), ...); }, members_);
    Export(std::move(owner), rows, nulls, out);
  }

 private:
  template <typename Member>
  static const auto& ValueOf(const Member& member) {
    if constexpr (FieldOf<Member>::value) {
      return member.value;
    } else {
      return member;
    }
  }
  template <size_t... I>
  void SetEach(int64_t row, const std::tuple<Members...>& value, std::index_sequence<I...>) {
    (std::get<I>(members_).Set(row, ValueOf(std::get<I>(value))), ...);
  }

  Validity validity_;
  std::tuple<Results<typename FieldOf<Members>::Value>...> members_;
};

}  // namespace leman::udf
#pragma GCC visibility pop
