// Where a column file's pages go: into the fragment's pages file, or a file of their own.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "assemble/pages_file.h"
#include "assemble/posix_file.h"
#include "base/result.h"

namespace leman {

class PageSink {
 public:
  /// Into the pages file at `pages_path`. kUnsupported if it cannot be had; then nothing has happened.
  static Result<PageSink> Into(const std::string& pages_path);
  /// Into a new file at `path`.
  static Result<PageSink> New(const std::string& path);

  /// The pages file's id; empty for a file of its own.
  [[nodiscard]] std::string pages_id() const { return pages_ ? pages_->id() : ""; }
  /// Where the next part of `size_bytes` begins.
  Result<int64_t> Reserve(int64_t size_bytes);
  /// Writes a part at `position` and reads it back. kRetryable if it was read back different.
  Status Write(int64_t position, std::span<const std::string_view> bytes);
  /// The room taken so far.
  [[nodiscard]] int64_t reserved_bytes() const { return reserved_bytes_; }
  /// No write fails after this.
  Status Close();

 private:
  PageSink() = default;
  [[nodiscard]] const PosixFile& file() const { return pages_ ? pages_->file() : own_; }

  std::optional<PagesFile> pages_;
  PosixFile own_;
  int64_t reserved_bytes_ = 0;
};

}  // namespace leman
