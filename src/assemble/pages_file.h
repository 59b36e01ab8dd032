// The file that a fragment's large checkpoints are written into, each once, and that becomes the fragment's data file.
// Format and rules: docs/formats/pages_file.md.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "assemble/posix_file.h"
#include "base/result.h"

namespace leman {

/// What the header takes; the first region begins there.
inline constexpr int64_t kPagesHeaderBytes = 4096;
/// Regions begin at multiples of this.
inline constexpr int64_t kRegionAlignment = 4096;

class PagesFile {
 public:
  /// Opens the file at `path`, for reading and writing. kNotFound, or kCorrupt if its header is not one.
  static Result<PagesFile> Open(const std::string& path);
  /// The same; makes the file where there is none.
  static Result<PagesFile> OpenOrCreate(const std::string& path);

  [[nodiscard]] const std::string& id() const { return id_; }
  [[nodiscard]] const PosixFile& file() const { return file_; }

  /// Room for `size_bytes` that nobody else gets; returns where it begins. kUnsupported where the file is sealed or was
  /// replaced, or the file system cannot do this.
  Result<int64_t> Reserve(int64_t size_bytes);

  /// Calls `complete(size of the file)`, which writes behind that size and returns the final size of the file; then the
  /// file is cut to that size and sealed. No room is reserved meanwhile, nor afterwards. kUnsupported as above.
  Status Seal(const std::function<Result<int64_t>(int64_t size_bytes)>& complete);
  /// Whether it was sealed, now.
  Result<bool> sealed() const;

 private:
  PagesFile() = default;
  Status MakeHeader();
  Status ReadHeader();

  PosixFile file_;
  std::string id_;
};

}  // namespace leman
