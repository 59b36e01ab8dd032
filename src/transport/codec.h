// Values to bytes and back: little-endian, lengths before strings, every read checked.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/result.h"

namespace leman {

class Encoder {
 public:
  void Int(int64_t value) { bytes_.append(reinterpret_cast<const char*>(&value), sizeof value); }
  void Flag(bool value) { bytes_.push_back(value ? 1 : 0); }
  void Text(std::string_view value) {
    Int(static_cast<int64_t>(value.size()));
    bytes_.append(value);
  }
  [[nodiscard]] std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

/// After any failed read all further reads give zeros, and `ok()` stays false: check once, at the end.
class Decoder {
 public:
  explicit Decoder(std::string_view bytes) : bytes_(bytes) {}

  int64_t Int() {
    int64_t value = 0;
    if (!Need(sizeof value)) return 0;
    std::memcpy(&value, bytes_.data(), sizeof value);
    bytes_.remove_prefix(sizeof value);
    return value;
  }
  bool Flag() {
    if (!Need(1)) return false;
    const bool value = bytes_[0] != 0;
    bytes_.remove_prefix(1);
    return value;
  }
  std::string Text() {
    const int64_t size = Int();
    if (size < 0 || !Need(static_cast<size_t>(size))) {
      ok_ = false;
      return {};
    }
    std::string value(bytes_.substr(0, static_cast<size_t>(size)));
    bytes_.remove_prefix(static_cast<size_t>(size));
    return value;
  }
  /// A count of elements that take at least `min_bytes` each; one that cannot fit is a failed read.
  int64_t Count(int64_t min_bytes) {
    const int64_t count = Int();
    if (count < 0 || count > static_cast<int64_t>(bytes_.size()) / min_bytes) {
      ok_ = false;
      return 0;
    }
    return count;
  }
  [[nodiscard]] bool ok() const { return ok_; }
  /// All bytes were read, and none too many.
  [[nodiscard]] Status Finish() const {
    if (ok_ && bytes_.empty()) return Ok();
    return MakeError(ErrorKind::kCorrupt, "malformed message");
  }

 private:
  bool Need(size_t size) {
    if (!ok_ || bytes_.size() < size) ok_ = false;
    return ok_;
  }

  std::string_view bytes_;
  bool ok_ = true;
};

}  // namespace leman
