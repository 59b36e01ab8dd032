#include "fragment_files.h"

#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "assemble/fragment_assembler.h"
#include "assemble/object_fragment.h"
#include "assemble/uploaded_pages.h"
#include "model/checkpoint_key.h"
#include "model/upload_parts.h"
#include "python_error.h"

namespace leman::python {
namespace nb = nanobind;
namespace {

constexpr int kThreadsPerFile = 2;

class PythonReencoder final : public Reencoder {
 public:
  PythonReencoder(const nb::object& host, const AssembleOptions& options) : host_(host), options_(options) {}

  Result<Unit> Reencode(const std::vector<CheckpointFile>& checkpoints, const std::string& output_path) override {
    std::vector<std::string> paths;
    for (const CheckpointFile& checkpoint : checkpoints) paths.push_back(checkpoint.path);
    const nb::gil_scoped_acquire gil;
    try {
      // Told of bytes, it says whether to go on.
      const nb::object watch = nb::cpp_function([this](int64_t bytes) {
        options_.on_bytes(bytes);
        return !*options_.cancel;
      });
      bytes_ = nb::cast<int64_t>(host_.attr("reencode")(paths, output_path, watch));
      return Ok();
    } catch (const nb::python_error& exception) {
      return ErrorOf(exception, ErrorKind::kInternal);
    }
  }

  Result<Unit> WriteBlobPlaces(std::span<const BlobPlace> places, const std::string& output_path) override {
    constexpr uint64_t kNull = std::numeric_limits<uint64_t>::max();
    std::vector<uint64_t> positions;
    std::vector<uint64_t> sizes;
    for (const BlobPlace& place : places) {
      positions.push_back(place.position);
      sizes.push_back(place.null ? kNull : place.size);
    }
    const nb::gil_scoped_acquire gil;
    const auto bytes = [](const std::vector<uint64_t>& numbers) {
      return nb::bytes(reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(uint64_t));
    };
    try {
      host_.attr("write_blob_places")(bytes(positions), bytes(sizes), output_path);
      return Ok();
    } catch (const nb::python_error& exception) {
      return ErrorOf(exception, ErrorKind::kInternal);
    }
  }

  /// What was written, the files beside the data file included.
  [[nodiscard]] int64_t bytes() const { return bytes_; }

 private:
  const nb::object& host_;
  const AssembleOptions& options_;
  int64_t bytes_ = 0;
};

AssemblyWay WayOf(AssembledFile::Way way) {
  switch (way) {
    case AssembledFile::Way::kLinked:
      return AssemblyWay::kLinked;
    case AssembledFile::Way::kPlaced:
      return AssemblyWay::kPlaced;
    case AssembledFile::Way::kStitched:
      return AssemblyWay::kStitched;
    case AssembledFile::Way::kReencoded:
      return AssemblyWay::kReencoded;
  }
  return AssemblyWay::kReencoded;
}

AssembledFragment Described(int64_t fragment_id, const std::string& file_name, const AssembledFile& file,
                            const PythonReencoder& reencoder) {
  AssembledFragment assembled;
  assembled.update = {fragment_id,       file.rows,          file_name,         file.size_bytes,
                      file.column_count, file.major_version, file.minor_version};
  assembled.way = WayOf(file.way);
  assembled.bytes = file.bytes;
  if (file.way == AssembledFile::Way::kReencoded) {
    assembled.bytes_beside = std::max<int64_t>(0, reencoder.bytes() - file.size_bytes);
    assembled.bytes.reencoded += assembled.bytes_beside;
  } else {
    assembled.bytes_beside = file.bytes_beside;
  }
  return assembled;
}

/// A checkpoint on this machine; one that lies in a pages file has a region.
CheckpointFile LocalCheckpoint(const std::string& checkpoint_root, const FragmentPart& part) {
  CheckpointFile checkpoint{checkpoint_root + "/" + part.key, part.range.start, part.range.end};
  const size_t name = checkpoint.path.rfind('/') + 1;
  if (const auto placed = ParseRegionFileName(checkpoint.path.substr(name))) {
    checkpoint.region = placed->region;
    checkpoint.pages_path =
        checkpoint.path.substr(0, name) + PagesFileName(placed->range.fragment_id, placed->fragment_key);
    checkpoint.check_bytes = part.check_bytes;
  }
  return checkpoint;
}

/// The rows that a checkpoint's file was made for.
std::optional<RowRange> RowsOfFile(const std::string& key) {
  const std::string name = key.substr(key.rfind('/') + 1);
  if (const auto placed = ParseRegionFileName(name)) return placed->range;
  if (const auto checkpoint = ParseCheckpointFileName(name)) return checkpoint->range;
  return std::nullopt;
}

Result<int64_t> WriteTaken(const nb::object& host, const FragmentPart& part, int64_t first_row, const std::string& from,
                           const std::string& to, const std::atomic<bool>& cancelled) {
  std::vector<std::pair<int64_t, int64_t>> rows;
  for (const RowRange& range : part.taken) rows.emplace_back(range.start - first_row, range.end - first_row);
  const nb::gil_scoped_acquire gil;
  try {
    const nb::object watch = nb::cpp_function([&cancelled](int64_t) { return !cancelled; });
    return nb::cast<int64_t>(host.attr("take_rows")(from, rows, part.size_bytes, to, watch));
  } catch (const nb::python_error& exception) {
    return ErrorOf(exception, ErrorKind::kInternal);
  }
}

}  // namespace

Result<int64_t> LocalAssembler::TakeRows(const FragmentPart& part, const std::string& to_key) {
  const auto rows = RowsOfFile(part.key);
  if (!rows) return MakeError(ErrorKind::kInternal, part.key, " is no checkpoint");
  const std::string to = checkpoint_root_ + "/" + to_key;
  FragmentPart source = part;
  source.range = *rows;
  const CheckpointFile checkpoint = LocalCheckpoint(checkpoint_root_, source);
  if (!checkpoint.region) return WriteTaken(host_, part, rows->start, checkpoint.path, to, cancelled_);
  const bool whole = part.taken.size() == 1 && part.taken[0] == *rows;
  const std::string extracted = whole ? to : to + "-whole";
  LEMAN_RETURN_IF_ERROR(ExtractRegion(checkpoint, extracted, &cancelled_));
  if (!whole) {
    const auto taken = WriteTaken(host_, part, rows->start, extracted, to, cancelled_);
    std::filesystem::remove(extracted);
    return taken;
  }
  std::error_code error;
  const auto size_bytes = std::filesystem::file_size(to, error);
  if (error) return MakeError(ErrorKind::kRetryable, "size of ", to, ": ", error.message());
  return static_cast<int64_t>(size_bytes);
}

Result<int64_t> RemoteAssembler::TakeRows(const FragmentPart& part, const std::string& to_key) {
  if (IsPartsRecord(part.key)) {
    return MakeError(ErrorKind::kUnsupported, "the fragment was rewritten, and ", part.key,
                     " is part of an upload that cannot be read");
  }
  const auto rows = RowsOfFile(part.key);
  if (!rows) return MakeError(ErrorKind::kInternal, part.key, " is no checkpoint");
  return WriteTaken(host_, part, rows->start, part.key, to_key, cancelled_);
}

Result<AssembledFragment> LocalAssembler::Assemble(int64_t fragment_id, const std::vector<FragmentPart>& parts,
                                                   int64_t physical_rows, const std::string& file_name) {
  std::vector<CheckpointFile> checkpoints;
  for (const FragmentPart& part : parts) checkpoints.push_back(LocalCheckpoint(checkpoint_root_, part));
  AssembleOptions options;
  PythonReencoder reencoder(host_, options);
  options.threads = kThreadsPerFile;
  options.cancel = &cancelled_;
  int64_t in_hand = 0;
  options.on_bytes = [&](int64_t bytes) {
    in_hand += bytes;
    bytes_in_hand_ += bytes;
  };
  const Result<AssembledFile> made =
      AssembleFragment(checkpoints, physical_rows, table_root_ + "/data/" + file_name, reencoder, options);
  bytes_in_hand_ -= in_hand;
  if (!made.ok()) return made.error();
  return Described(fragment_id, file_name, *made, reencoder);
}

void RemoteAssembler::DropUnused(const FragmentPart& part) {
  const size_t at = part.key.rfind('/') + 1;
  const auto name = ParseCheckpointFileName(part.key.substr(at));
  if (!takes_uploads_ || !name) return;
  const std::string announcement = UploadFileName(name->range.fragment_id, name->fragment_key);
  // One that stays costs storage until `leman clean` removes it.
  (void)DropUpload(part.key.substr(0, at) + announcement);
}

Result<AssembledFragment> RemoteAssembler::Assemble(int64_t fragment_id, const std::vector<FragmentPart>& parts,
                                                    int64_t physical_rows, const std::string& file_name) {
  std::vector<CheckpointFile> checkpoints;
  for (const FragmentPart& part : parts) checkpoints.push_back({part.key, part.range.start, part.range.end});
  AssembleOptions options;
  PythonReencoder reencoder(host_, options);
  options.cancel = &cancelled_;
  int64_t in_hand = 0;
  options.on_bytes = [&](int64_t bytes) {
    in_hand += bytes;
    bytes_in_hand_ += bytes;
  };
  LEMAN_ASSIGN_OR_RETURN(const std::string name, DataFileOfUpload(checkpoints, file_name, store_));
  const Result<AssembledFile> made =
      AssembleFragmentObject(checkpoints, physical_rows, "data/" + name, store_, *uploads_, reencoder, options);
  bytes_in_hand_ -= in_hand;
  if (!made.ok()) return made.error();
  if (made->way != AssembledFile::Way::kPlaced) DropUnused(parts.front());
  return Described(fragment_id, name, *made, reencoder);
}

}  // namespace leman::python
