#include "io/testing/memory_part_uploads.h"

namespace leman::testing {

Result<std::string> MemoryPartUploads::Create(const std::string&) {
  ++open;
  parts_.clear();
  return std::string("upload");
}

Result<std::string> MemoryPartUploads::Upload(const std::string&, const std::string&, int64_t number,
                                              std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  if (number == fail_part) return MakeError(ErrorKind::kRetryable, "part ", number, " failed");
  parts_[number] = bytes;
  return std::to_string(number);
}

Result<std::string> MemoryPartUploads::CopyRange(const std::string& key, const std::string& upload, int64_t number,
                                                 const std::string& from, const std::string&, int64_t offset,
                                                 int64_t size_bytes) {
  LEMAN_ASSIGN_OR_RETURN(const std::string bytes, store_.GetRange(from, offset, size_bytes));
  {
    const std::lock_guard lock(mutex_);
    copied_bytes += size_bytes;
  }
  return Upload(key, upload, number, bytes);
}

Status MemoryPartUploads::Complete(const std::string& key, const std::string&, const std::vector<std::string>& tags) {
  std::string all;
  for (size_t i = 0; i < tags.size(); ++i) {
    const std::string& part = parts_.at(static_cast<int64_t>(i) + 1);
    if (i + 1 < tags.size() && static_cast<int64_t>(part.size()) < min_part_bytes_) {
      return MakeError(ErrorKind::kInvalidArgument, "part ", static_cast<int64_t>(i) + 1, " is too small");
    }
    all += part;
  }
  --open;
  LEMAN_RETURN_IF_ERROR(store_.Put(key, all));
  return answer_lost ? Status(MakeError(ErrorKind::kRetryable, "no answer")) : Ok();
}

Status MemoryPartUploads::Abort(const std::string&, const std::string&) {
  --open;
  return Ok();
}

}  // namespace leman::testing
