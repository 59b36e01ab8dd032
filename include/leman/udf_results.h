// Typed results into Arrow arrays: what leman/udf.h is made of.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
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
#include "leman/udf_memory.h"
#include "leman/udf_values.h"

#pragma GCC visibility push(hidden)
namespace leman::udf {

/// A text that its function writes where the result is to lie, without a copy in between: `most` bytes of room, and
/// `write(char* out)`, which returns how many it used.
///
///     return leman::udf::Written{text.size(), [text](char* out) -> size_t { ... }};
template <typename Write>
struct Written {
  size_t most;
  Write write;
};
template <typename Write>
Written(size_t, Write) -> Written<Write>;

/// Bytes that grow; new ones hold anything until they are written.
class Buffer {
 public:
  Buffer() = default;
  /// `size` zeros.
  explicit Buffer(size_t size) : size_(size), room_(size) {
    if (size == 0) return;
    bytes_.reset(static_cast<uint8_t*>(std::calloc(size, 1)));
    if (bytes_ == nullptr) throw std::bad_alloc();
  }
  Buffer(Buffer&& other) noexcept
      : bytes_(std::move(other.bytes_)), size_(std::exchange(other.size_, 0)), room_(std::exchange(other.room_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    bytes_ = std::move(other.bytes_);
    size_ = std::exchange(other.size_, 0);
    room_ = std::exchange(other.room_, 0);
    return *this;
  }

  [[nodiscard]] size_t size() const { return size_; }
  [[nodiscard]] uint8_t* data() { return bytes_.get(); }
  [[nodiscard]] const uint8_t* data() const { return bytes_.get(); }
  /// The end, with room for `more` bytes; what is written there counts after Advance.
  uint8_t* Reserve(size_t more) {
    if (room_ - size_ < more) Grow(more);
    return bytes_.get() + size_;
  }
  [[nodiscard]] size_t room() const { return room_ - size_; }
  void Advance(size_t written) { size_ += written; }
  void Append(const void* from, size_t count) {
    if (count == 0) return;
    std::memcpy(Reserve(count), from, count);
    size_ += count;
  }
  void AppendZeros(size_t count) {
    if (count == 0) return;
    std::memset(Reserve(count), 0, count);
    size_ += count;
  }

 private:
  struct Free {
    void operator()(uint8_t* bytes) const { std::free(bytes); }
  };

  void Grow(size_t more) {
    constexpr size_t kLeast = 256;
    size_t room = std::max({size_ + more, room_ + room_ / 2, kLeast});
    auto* const grown = static_cast<uint8_t*>(GrowMemory(bytes_.get(), size_, &room));
    if (grown == nullptr) throw std::bad_alloc();
    static_cast<void>(bytes_.release());
    bytes_.reset(grown);
    room_ = room;
  }

  std::unique_ptr<uint8_t, Free> bytes_;
  size_t size_ = 0;
  size_t room_ = 0;
};

/// Memory of a finished array and its children; the array's release deletes it.
struct ArrayOwner {
  std::vector<Buffer> buffers;
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

/// Hands `owner` over as an array of `rows` rows; buffer 0 is the validity, which is absent where nothing is null.
inline void Export(std::unique_ptr<ArrayOwner> owner, int64_t rows, int64_t nulls, ArrowArray* out) {
  for (size_t i = 0; i < owner->buffers.size(); ++i) {
    const bool absent = i == 0 && nulls == 0;
    if (!absent) owner->buffers[i].Reserve(1);  // a buffer that has to be there, even if nobody reads it
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
    if (bits_.size() == 0) {
      const auto size = static_cast<size_t>((rows_ + 7) / 8);
      std::memset(bits_.Reserve(size), 0xFF, size);
      bits_.Advance(size);
    }
    uint8_t& byte = bits_.data()[row >> 3];
    const auto bit = static_cast<uint8_t>(1U << (row & 7));
    if ((byte & bit) != 0) ++nulls_;
    byte = static_cast<uint8_t>(byte & ~bit);
  }
  [[nodiscard]] int64_t nulls() const { return nulls_; }
  Buffer Take() { return std::move(bits_); }

 private:
  int64_t rows_;
  int64_t nulls_ = 0;
  Buffer bits_;
};

/// What all results have: the validity of their rows, and how they become an array.
class ResultsBase {
 protected:
  explicit ResultsBase(int64_t rows) : validity_(rows) {}
  template <typename... Buffers>
  void Hand(int64_t rows, ArrowArray* out, std::vector<ArrowArray> children, Buffers... buffers) {
    auto owner = std::make_unique<ArrayOwner>();
    owner->children = std::move(children);
    owner->buffers.push_back(validity_.Take());
    (owner->buffers.push_back(std::move(buffers)), ...);
    Export(std::move(owner), rows, validity_.nulls(), out);
  }

  Validity validity_;
};

/// Ends of texts or lists, as 32-bit offsets from 0 on.
class Ends {
 public:
  explicit Ends(int64_t rows) : offsets_(static_cast<size_t>(rows + 1) * sizeof(int32_t)) {}
  void Set(int64_t row, size_t end) {
    const auto value = static_cast<int32_t>(end);
    std::memcpy(offsets_.data() + (row + 1) * static_cast<int64_t>(sizeof value), &value, sizeof value);
  }
  Buffer Take() { return std::move(offsets_); }
  static constexpr size_t kMost = std::numeric_limits<int32_t>::max();

 private:
  Buffer offsets_;
};

/// Collects results of type R, one for each row from 0 on, in order.
template <typename R>
class Results;

template <Number R>
class Results<R> : public ResultsBase {
 public:
  explicit Results(int64_t rows)
      : ResultsBase(rows),
        data_(std::is_same_v<R, bool> ? static_cast<size_t>((rows + 7) / 8) : static_cast<size_t>(rows) * sizeof(R)) {}
  /// Straight into the buffer; for loops without nulls and failures.
  [[nodiscard]] R* data() requires(!std::is_same_v<R, bool>) { return reinterpret_cast<R*>(data_.data()); }
  void Set(int64_t row, R value) {
    if constexpr (std::is_same_v<R, bool>) {
      if (value) data_.data()[row >> 3] |= static_cast<uint8_t>(1U << (row & 7));
    } else {
      std::memcpy(data_.data() + static_cast<size_t>(row) * sizeof(R), &value, sizeof(R));
    }
  }
  void SetNull(int64_t row) { validity_.SetNull(row); }
  void Finish(int64_t rows, ArrowArray* out) { Hand(rows, out, {}, std::move(data_)); }

 private:
  Buffer data_;
};

/// Texts and binaries.
class BytesResults : public ResultsBase {
 public:
  explicit BytesResults(int64_t rows) : ResultsBase(rows), rows_(rows), ends_(rows) {}
  void SetNull(int64_t row) {
    validity_.SetNull(row);
    ends_.Set(row, data_.size());
  }
  void Finish(int64_t rows, ArrowArray* out) { Hand(rows, out, {}, ends_.Take(), std::move(data_)); }
  /// Room for all rows in `size` bytes, one row after the other; nothing is set before SetSizes is called.
  char* Reserve(size_t size) {
    if (size > Ends::kMost) {
      throw std::length_error("the results of one batch exceed 2 GiB; use a smaller batch_size");
    }
    return reinterpret_cast<char*>(data_.Reserve(size));
  }
  /// Sets all rows to what was written into the room: each is as long as that of `column`, which has no nulls.
  void SetSizes(const BytesColumn& column) {
    for (int64_t row = 0; row < rows_; ++row) ends_.Set(row, column.views(0, row + 1).size());
    data_.Advance(column.views(0, rows_).size());
  }
  /// The same, with `each` bytes a row.
  void SetSizes(size_t each) {
    for (int64_t row = 0; row < rows_; ++row) ends_.Set(row, static_cast<size_t>(row + 1) * each);
    data_.Advance(static_cast<size_t>(rows_) * each);
  }

 protected:
  void SetBytes(int64_t row, std::string_view value) {
    if (!value.empty()) std::memcpy(Room(row, value.size()), value.data(), value.size());
    End(row, value.size());
  }
  // Grows to what all rows would take if they are as those so far, so that few bytes move.
  uint8_t* Room(int64_t row, size_t most) {
    if (most > Ends::kMost - data_.size()) {
      throw std::length_error("the results of one batch exceed 2 GiB; use a smaller batch_size");
    }
    if (data_.room() < most) {
      const auto mean = (data_.size() + most) / static_cast<size_t>(row + 1) + 1;
      data_.Reserve(std::max(most, std::min(mean * static_cast<size_t>(rows_ - row), kMostAhead)));
    }
    return data_.Reserve(most);
  }
  void End(int64_t row, size_t written) {
    data_.Advance(written);
    ends_.Set(row, data_.size());
  }

 private:
  static constexpr size_t kMostAhead = 64U << 20;

  int64_t rows_;
  Ends ends_;
  Buffer data_;
};

template <typename R>
requires(std::is_same_v<R, std::string> || std::is_same_v<R, std::string_view>) class Results<R> : public BytesResults {
 public:
  using BytesResults::BytesResults;
  void Set(int64_t row, std::string_view value) { this->SetBytes(row, value); }
};

template <typename Write>
class Results<Written<Write>> : public BytesResults {
 public:
  using BytesResults::BytesResults;
  void Set(int64_t row, const Written<Write>& value) {
    char* const out = reinterpret_cast<char*>(this->Room(row, value.most));
    this->End(row, value.write(out));
  }
};

template <typename R>
requires(std::is_same_v<R, Bytes> || std::is_same_v<R, OwnedBytes>) class Results<R> : public BytesResults {
 public:
  using BytesResults::BytesResults;
  void Set(int64_t row, const R& value) { this->SetBytes(row, value.data); }
};

/// Items of lists: appended one after the other.
template <Number T>
requires(!std::is_same_v<T, bool>) class Items {
 public:
  void Append(const T* items, size_t count) { data_.Append(items, count * sizeof(T)); }
  void AppendZeros(size_t count) { data_.AppendZeros(count * sizeof(T)); }
  void Reserve(size_t count) { data_.Reserve(count * sizeof(T)); }
  [[nodiscard]] size_t count() const { return data_.size() / sizeof(T); }
  ArrowArray Finish() {
    auto owner = std::make_unique<ArrayOwner>();
    const auto rows = static_cast<int64_t>(count());
    owner->buffers.emplace_back();
    owner->buffers.push_back(std::move(data_));
    ArrowArray array;
    Export(std::move(owner), rows, 0, &array);
    return array;
  }

 private:
  Buffer data_;
};

/// Lists of numbers: results, and the rows of a column that are gathered.
template <typename R>
struct ListOf : std::false_type {};
template <Number T>
struct ListOf<std::vector<T>> : std::true_type {
  using Item = T;
};
template <Number T>
struct ListOf<std::span<const T>> : std::true_type {
  using Item = T;
};

template <typename R>
requires(ListOf<R>::value) class Results<R> : public ResultsBase {
 public:
  explicit Results(int64_t rows) : ResultsBase(rows), ends_(rows) {}
  void Set(int64_t row, const R& value) {
    if (items_.count() + value.size() > Ends::kMost) {
      throw std::length_error("the lists of one batch have more than 2^31 items; use a smaller batch_size");
    }
    items_.Append(value.data(), value.size());
    ends_.Set(row, items_.count());
  }
  void SetNull(int64_t row) {
    validity_.SetNull(row);
    ends_.Set(row, items_.count());
  }
  void Finish(int64_t rows, ArrowArray* out) { Hand(rows, out, {items_.Finish()}, ends_.Take()); }

 private:
  Ends ends_;
  Items<typename ListOf<R>::Item> items_;
};

template <Number T, size_t N>
class Results<std::array<T, N>> : public ResultsBase {
 public:
  explicit Results(int64_t rows) : ResultsBase(rows) { items_.Reserve(static_cast<size_t>(rows) * N); }
  void Set(int64_t, const std::array<T, N>& value) { items_.Append(value.data(), N); }
  void SetNull(int64_t row) {
    validity_.SetNull(row);
    items_.AppendZeros(N);
  }
  void Finish(int64_t rows, ArrowArray* out) { Hand(rows, out, {items_.Finish()}); }

 private:
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
class Results<std::tuple<Members...>> : public ResultsBase {
 public:
  explicit Results(int64_t rows) : ResultsBase(rows), members_{Results<typename FieldOf<Members>::Value>(rows)...} {}
  void Set(int64_t row, const std::tuple<Members...>& value) {
    SetEach(row, value, std::index_sequence_for<Members...>{});
  }
  void SetNull(int64_t row) {
    validity_.SetNull(row);
    std::apply([row](auto&... member) { (member.SetNull(row), ...); }, members_);
  }
  void Finish(int64_t rows, ArrowArray* out) {
    std::vector<ArrowArray> children(sizeof...(Members));
    size_t at = 0;
    std::apply([&](auto&... member) { (member.Finish(rows, &children[at++]), ...); }, members_);
    Hand(rows, out, std::move(children));
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

  std::tuple<Results<typename FieldOf<Members>::Value>...> members_;
};

}  // namespace leman::udf
#pragma GCC visibility pop
