// Protobuf's wire format: just what file metadata needs, strict and bounds-checked.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace leman {

enum class WireType : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

/// One field of a message, as it lies in the bytes.
struct WireField {
  uint32_t number = 0;
  WireType type = WireType::kVarint;
  uint64_t value = 0;      ///< For kVarint.
  std::string_view bytes;  ///< For kBytes: the content.
  std::string_view raw;    ///< Key and content together: appending it to a message repeats the field.
};

/// Reads the fields of one message in order. Everything that is not well-formed is kCorrupt.
class WireReader {
 public:
  /// `message` outlives the reader and the fields that it returns.
  explicit WireReader(std::string_view message) : rest_(message) {}

  [[nodiscard]] bool done() const { return rest_.empty(); }
  Result<WireField> Next();

 private:
  Result<std::string_view> Take(uint64_t size);

  std::string_view rest_;
};

/// Refuses the second appearance of a field that may appear once.
class SingleFields {
 public:
  /// kCorrupt if `field` was seen before or is not of `type`. `field.number` is at most 63.
  Status Accept(const WireField& field, WireType type);

 private:
  uint64_t seen_ = 0;
};

/// Appends the value or values of a repeated uint64, packed or not.
Status AppendUint64s(const WireField& field, std::vector<uint64_t>& values);

/// Writes one message. Scalars and strings that are the default value are left out, as proto3 does.
class WireWriter {
 public:
  void Uint64(uint32_t number, uint64_t value);
  void PackedUint64s(uint32_t number, std::span<const uint64_t> values);
  /// A nested message or a string; written even if empty.
  void Bytes(uint32_t number, std::string_view bytes);
  /// A field that was read, unchanged.
  void Raw(std::string_view field) { out_.append(field); }
  [[nodiscard]] std::string Take() && { return std::move(out_); }

 private:
  void Key(uint32_t number, WireType type);

  std::string out_;
};

}  // namespace leman
