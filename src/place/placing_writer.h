// Writes column files of large plain values itself, straight to the place where they stay.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "place/page_sink.h"
#include "place/plain_pages.h"
#include "table/column_writer.h"

namespace leman {

struct PlacingOptions {
  int64_t page_bytes = 8 << 20;                     ///< Values are gathered up to this before they become a page.
  int64_t large_value_bytes = 32 << 10;             ///< Binary values are plain from this average on.
  int64_t place_from_bytes = 8 << 20;               ///< A smaller file becomes a file of its own,
  int64_t place_large_values_from_bytes = 1 << 20;  ///< or for binary values, this.
  bool all_plain = false;                           ///< Small and compressible binary values are plain, too: blobs.
};

/// Passes everything that is not plain on to another writer. Its own files go to storage page by page; values need not
/// outlive the call that writes them.
class PlacingWriter final : public ColumnWriter {
 public:
  /// `other` writes columns whose arrays have type `type`.
  PlacingWriter(std::unique_ptr<ColumnWriter> other, const ArrowSchema& type, const PlacingOptions& options = {},
                std::unique_ptr<PageStorage> storage = MakeFilePageStorage());

  Result<std::unique_ptr<ColumnFile>> Create(const std::string& path, const std::string& pages_path) override;
  void TellDataFile(const std::string& pages_path, const std::string& data_file) override;
  void UseQueue(WriteQueue& queue) override;
  Result<ClosedFile> Place(const std::string& path, const std::string& pages_path, ClosedFile closed) override;

 private:
  /// What an empty file of the other writer says of the column; null if its values cannot be written here.
  const LanceFile* Template(const std::string& path);

  std::unique_ptr<ColumnWriter> other_;
  PlacingOptions options_;
  std::unique_ptr<PageStorage> storage_;
  std::optional<PlainType> type_;
  bool has_template_ = false;
  std::optional<LanceFile> template_;
  int refusals_ = 0;  ///< How often values turned out not to be plain: soon it is not tried any more.
};

}  // namespace leman
