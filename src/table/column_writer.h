// Port: writes one column of values into a file of the table's own format.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/result.h"
#include "model/arrow_c_data.h"

namespace leman {

/// One file being written. Write calls append; Close makes the file complete. A file that was not closed is garbage.
class ColumnFile {
 public:
  virtual ~ColumnFile() = default;
  /// Appends the rows of `values`, an array of the output type, and takes it over.
  virtual Status Write(OwnedArray values) = 0;
  /// Completes the file; returns its size in bytes.
  virtual Result<int64_t> Close(const std::map<std::string, std::string>& metadata) = 0;
};

class ColumnWriter {
 public:
  virtual ~ColumnWriter() = default;
  virtual Result<std::unique_ptr<ColumnFile>> Create(const std::string& path) = 0;
};

}  // namespace leman
