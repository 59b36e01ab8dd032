// Port: a sequence of bytes of known size, read at positions.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace leman {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  [[nodiscard]] virtual int64_t size_bytes() const = 0;
  /// Bytes [offset, offset + length); kCorrupt if they are not all there.
  virtual Result<std::string> Read(int64_t offset, int64_t length) = 0;
};

/// Bytes that somebody else keeps alive.
class MemoryByteSource final : public ByteSource {
 public:
  explicit MemoryByteSource(std::string_view bytes) : bytes_(bytes) {}
  [[nodiscard]] int64_t size_bytes() const override { return static_cast<int64_t>(bytes_.size()); }
  Result<std::string> Read(int64_t offset, int64_t length) override;

 private:
  std::string_view bytes_;
};

/// Opens a regular file of the local file system for reading.
Result<std::unique_ptr<ByteSource>> OpenLocalFile(const std::string& path);
/// The same, of the first `size_bytes` only; kCorrupt if the file is shorter.
Result<std::unique_ptr<ByteSource>> OpenLocalPrefix(const std::string& path, int64_t size_bytes);

}  // namespace leman
