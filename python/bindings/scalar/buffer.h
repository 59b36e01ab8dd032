// Growing memory of an Arrow buffer, and the validity bitmap. Throws std::bad_alloc; ScalarCaller::Call catches it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "leman/udf_memory.h"

namespace leman::python::scalar {

/// malloc'ed bytes: freed by any thread, without the GIL.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), capacity_(std::exchange(other.capacity_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(capacity_, other.capacity_);
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { std::free(data_); }

  [[nodiscard]] uint8_t* data() const { return data_; }
  [[nodiscard]] int64_t capacity() const { return capacity_; }

  /// At least `bytes` of room, growing to exactly that when it is the first call, and by half or more afterwards.
  void Reserve(int64_t bytes) {
    if (bytes > capacity_) Grow(std::max({bytes, capacity_ + capacity_ / 2, kLeast}));
  }
  /// Gives back what is beyond `bytes` where that is much.
  void Trim(int64_t bytes) {
    if (capacity_ - bytes <= std::max(capacity_ / 4, int64_t{4096})) return;
    void* const moved = std::realloc(data_, static_cast<size_t>(std::max(bytes, kLeast)));
    if (moved == nullptr) throw std::bad_alloc();
    data_ = static_cast<uint8_t*>(moved);
    capacity_ = std::max(bytes, kLeast);
  }

 private:
  static constexpr int64_t kLeast = 64;

  void Grow(int64_t bytes) {
    auto size = static_cast<size_t>(bytes);
    void* const grown = udf::GrowMemory(data_, static_cast<size_t>(capacity_), &size);
    if (grown == nullptr) throw std::bad_alloc();
    data_ = static_cast<uint8_t*>(grown);
    capacity_ = static_cast<int64_t>(size);
  }

  uint8_t* data_ = nullptr;
  int64_t capacity_ = 0;
};

/// How many items to make room for, when `used` of them came with the first `rows` of `expected` rows: rows of one
/// column tend to be alike. 0: no guess now. Bounded by `limit`, since one row may be unlike all others.
inline int64_t GuessTotal(int64_t used, int64_t rows, int64_t expected, int64_t limit) {
  constexpr int64_t kSample = 16;
  if (rows != kSample || expected <= kSample) return 0;
  return std::min(used / kSample * expected + used, limit);
}

/// A validity bitmap that exists from the first null on.
class Validity {
 public:
  [[nodiscard]] int64_t length() const { return length_; }
  [[nodiscard]] int64_t null_count() const { return null_count_; }

  void AppendValid() {
    if (null_count_ != 0) Set(length_, true);
    ++length_;
  }
  void AppendValid(int64_t count) {
    if (null_count_ == 0) {
      length_ += count;
      return;
    }
    for (int64_t i = 0; i < count; ++i) AppendValid();
  }
  void AppendNull() {
    if (null_count_++ == 0) {
      const int64_t bytes = length_ / 8 + 1;
      bits_.Reserve(bytes);
      std::memset(bits_.data(), 0xFF, static_cast<size_t>(bytes));
    }
    Set(length_++, false);
  }
  void Truncate(int64_t length) {
    for (int64_t i = length; i < length_ && null_count_ != 0; ++i) {
      if (((bits_.data()[i >> 3] >> (i & 7)) & 1) == 0) --null_count_;
    }
    length_ = length;
  }
  /// The bitmap, unused bits cleared; empty (no data) when nothing is null.
  Buffer Take() {
    if (null_count_ == 0) return {};
    if ((length_ & 7) != 0) bits_.data()[length_ >> 3] &= static_cast<uint8_t>((1U << (length_ & 7)) - 1);
    return std::move(bits_);
  }

 private:
  void Set(int64_t index, bool valid) {
    bits_.Reserve(index / 8 + 1);
    uint8_t& byte = bits_.data()[index >> 3];
    const auto bit = static_cast<uint8_t>(1U << (index & 7));
    byte = static_cast<uint8_t>(valid ? byte | bit : byte & ~bit);
  }

  Buffer bits_;
  int64_t length_ = 0;
  int64_t null_count_ = 0;
};

}  // namespace leman::python::scalar
