// Where a column file's pages go: to the place where they stay, or into a file of their own.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "assemble/byte_source.h"
#include "base/result.h"
#include "model/placed_region.h"
#include "table/column_writer.h"

namespace leman {

/// One column file that is being written.
class PageSink {
 public:
  virtual ~PageSink() = default;
  /// Where the next part of `size_bytes` begins; positions in the tail are counted like this one.
  virtual Result<int64_t> Reserve(int64_t size_bytes) = 0;
  /// Writes a part at `position`.
  virtual Status Write(int64_t position, std::span<const std::string_view> bytes) = 0;
  /// The tail, at a position that was reserved for it, and nothing more. `crc` is the CRC-32C of the page buffers.
  virtual Result<ClosedFile> Finish(int64_t position, std::string_view tail, uint32_t crc) = 0;
};

/// Port: the storage that sinks write to.
class PageStorage {
 public:
  virtual ~PageStorage() = default;
  /// Into what becomes the data file of the fragment of `pages_path`. kUnsupported if it cannot be had; then nothing
  /// has happened.
  virtual Result<std::unique_ptr<PageSink>> Into(const std::string& pages_path) = 0;
  /// Into a new file at `path`.
  virtual Result<std::unique_ptr<PageSink>> New(const std::string& path) = 0;
  virtual Result<std::unique_ptr<ByteSource>> Open(const std::string& path) = 0;
  virtual void Remove(const std::string& path) = 0;
  /// See ColumnWriter.
  virtual void TellDataFile(const std::string& pages_path, const std::string& data_file) {
    (void)pages_path;
    (void)data_file;
  }
  /// See ColumnWriter; Finish is then called in the queue.
  virtual void UseQueue(WriteQueue& queue) { (void)queue; }
  /// As PlaceStagedFile.
  virtual Result<PlacedRegion> PlaceStaged(const std::string& path, const std::string& pages_path) = 0;
};

/// Files of a local or shared file system; what is written is read back and compared.
std::unique_ptr<PageStorage> MakeFilePageStorage();

}  // namespace leman
