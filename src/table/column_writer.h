// Port: writes one column of values into a file of the table's own format.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "model/arrow_c_data.h"
#include "model/placed_region.h"
#include "table/write_queue.h"

namespace leman {

/// A file that lies in parts of its fragment's upload; see docs/formats/upload_parts.md.
struct UploadedFile {
  std::string id;      ///< Of the record's name.
  std::string record;  ///< Its content.
};

/// What became of a file.
struct ClosedFile {
  int64_t size_bytes = 0;
  /// It lies in the fragment's pages file; absent: it is the file at its path.
  std::optional<PlacedRegion> region = {};
  std::optional<UploadedFile> uploaded = {};
};

/// One file being written. Write calls append; Close makes the file complete. A file that was not closed is garbage.
class ColumnFile {
 public:
  virtual ~ColumnFile() = default;
  /// Appends the rows of `values`, an array of the output type, and takes it over.
  virtual Status Write(OwnedArray values) = 0;
  /// Whether `values` can go into this file; if not, they need another one.
  [[nodiscard]] virtual bool Takes(const ArrowArray& values) {
    (void)values;
    return true;
  }
  /// With a WriteQueue: called in it, after the last Write, while other files are created and written.
  virtual Result<ClosedFile> Close(const std::map<std::string, std::string>& metadata) = 0;
};

class ColumnWriter {
 public:
  virtual ~ColumnWriter() = default;
  /// `pages_path` is the fragment's pages file, into which a writer may put the file instead.
  virtual Result<std::unique_ptr<ColumnFile>> Create(const std::string& path, const std::string& pages_path) = 0;
  /// Before Create: the name under the table's data folder that the data file of the fragment of `pages_path` will
  /// have.
  virtual void TellDataFile(const std::string& pages_path, const std::string& data_file) {
    (void)pages_path;
    (void)data_file;
  }
  /// Before any Create: what Write sends to storage may go through `queue`, which is empty whenever a file is destroyed
  /// outside of it, and outlives all use of this writer. An error of it comes with a later Write or with Close.
  virtual void UseQueue(WriteQueue& queue) { (void)queue; }
  /// Moves `closed`, the complete file at `path`, into the fragment's pages file, where the writer can and it is large
  /// enough; else nothing happens. For a file that is a part of its fragment: somebody would have to copy it anyway.
  virtual Result<ClosedFile> Place(const std::string& path, const std::string& pages_path, ClosedFile closed) {
    (void)path;
    (void)pages_path;
    return closed;
  }
};

}  // namespace leman
