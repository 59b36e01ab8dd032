#include "io/object_store.h"

#include <algorithm>

#include "base/crc32c.h"

namespace leman {

Status ValidateKey(const std::string& key) {
  size_t start = 0;
  while (true) {
    const size_t end = key.find('/', start);
    const std::string part = key.substr(start, end == std::string::npos ? end : end - start);
    if (part.empty() || part == "." || part == ".." || part.find('\0') != std::string::npos) {
      return MakeError(ErrorKind::kInvalidArgument, "object key '", key,
                       "': expected '/'-separated names, none of them empty, '.' or '..'");
    }
    if (end == std::string::npos) return Ok();
    start = end + 1;
  }
}

Status ObjectStore::PutIfMatch(const std::string& key, std::string_view bytes, const std::string& expected) {
  LEMAN_ASSIGN_OR_RETURN(const std::string found, Get(key));
  if (found != expected) return MakeError(ErrorKind::kConflict, "replace ", key, ": it was changed meanwhile");
  return Put(key, bytes);
}

Result<ObjectInfo> ObjectStore::Head(const std::string& key) {
  LEMAN_ASSIGN_OR_RETURN(const std::string bytes, Get(key));
  return ObjectInfo{static_cast<int64_t>(bytes.size()), ""};
}

Result<std::optional<uint32_t>> ObjectStore::Checksum(const std::string& key, int64_t size_bytes) {
  constexpr int64_t kPieceBytes = 4 << 20;
  uint32_t crc = 0;
  for (int64_t at = 0; at < size_bytes; at += kPieceBytes) {
    LEMAN_ASSIGN_OR_RETURN(const std::string piece, GetRange(key, at, std::min(kPieceBytes, size_bytes - at)));
    crc = Crc32c(piece.data(), piece.size(), crc);
  }
  return std::optional(crc);
}

}  // namespace leman
