// The Arrow C Data Interface structs and move-only owners of them.
// Layout: https://arrow.apache.org/docs/format/CDataInterface.html and CStreamInterface.html (ABI, fixed).
#pragma once

#include <cstdint>

#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

extern "C" {
struct ArrowSchema {
  const char* format;
  const char* name;
  const char* metadata;
  int64_t flags;
  int64_t n_children;
  struct ArrowSchema** children;
  struct ArrowSchema* dictionary;
  void (*release)(struct ArrowSchema*);
  void* private_data;
};

struct ArrowArray {
  int64_t length;
  int64_t null_count;
  int64_t offset;
  int64_t n_buffers;
  int64_t n_children;
  const void** buffers;
  struct ArrowArray** children;
  struct ArrowArray* dictionary;
  void (*release)(struct ArrowArray*);
  void* private_data;
};
}
#endif  // ARROW_C_DATA_INTERFACE

#ifndef ARROW_C_STREAM_INTERFACE
#define ARROW_C_STREAM_INTERFACE
extern "C" {
struct ArrowArrayStream {
  int (*get_schema)(struct ArrowArrayStream*, struct ArrowSchema* out);
  int (*get_next)(struct ArrowArrayStream*, struct ArrowArray* out);
  const char* (*get_last_error)(struct ArrowArrayStream*);
  void (*release)(struct ArrowArrayStream*);
  void* private_data;
};
}
#endif  // ARROW_C_STREAM_INTERFACE

namespace leman {

/// Owns one C struct of the Arrow ABI: released exactly once, moved by copying the struct and clearing the source.
template <typename CStruct>
class ArrowOwner {
 public:
  ArrowOwner() { raw_.release = nullptr; }
  /// Takes over `*source`, which is marked released.
  explicit ArrowOwner(CStruct* source) : raw_(*source) { source->release = nullptr; }
  ArrowOwner(ArrowOwner&& other) noexcept : raw_(other.raw_) { other.raw_.release = nullptr; }
  ArrowOwner& operator=(ArrowOwner&& other) noexcept {
    if (this != &other) {
      Reset();
      raw_ = other.raw_;
      other.raw_.release = nullptr;
    }
    return *this;
  }
  ArrowOwner(const ArrowOwner&) = delete;
  ArrowOwner& operator=(const ArrowOwner&) = delete;
  ~ArrowOwner() { Reset(); }

  [[nodiscard]] bool empty() const { return raw_.release == nullptr; }
  /// The struct, still owned here.
  CStruct* get() { return &raw_; }
  const CStruct* get() const { return &raw_; }
  CStruct* operator->() { return &raw_; }
  const CStruct* operator->() const { return &raw_; }

  /// An empty struct for a producer to fill; what was held is released first.
  CStruct* Out() {
    Reset();
    return &raw_;
  }
  /// Gives the struct away into `*out`; this owner is empty afterwards.
  void MoveTo(CStruct* out) {
    *out = raw_;
    raw_.release = nullptr;
  }
  void Reset() {
    if (raw_.release != nullptr) raw_.release(&raw_);
    raw_.release = nullptr;
  }

 private:
  CStruct raw_{};
};

using OwnedSchema = ArrowOwner<ArrowSchema>;
using OwnedArray = ArrowOwner<ArrowArray>;
using OwnedStream = ArrowOwner<ArrowArrayStream>;

}  // namespace leman
