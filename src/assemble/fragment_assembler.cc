#include "assemble/fragment_assembler.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "assemble/assembly_plan.h"
#include "assemble/assembly_way.h"
#include "assemble/blob_pages.h"
#include "assemble/byte_source.h"
#include "assemble/file_assembly.h"
#include "assemble/pages_file.h"
#include "assemble/verify_assembled.h"
#include "io/local_object_store.h"

namespace leman {
namespace {

/// From this average size of a checkpoint on, starting ranges on a block costs nothing to speak of.
constexpr int64_t kAlignToBlocksFromBytes = 1 << 20;
constexpr int64_t kBlockBytes = 4096;

Result<std::unique_ptr<ByteSource>> OpenCheckpoint(const CheckpointFile& checkpoint) {
  if (!checkpoint.region) return OpenLocalFile(checkpoint.path);
  auto source = OpenLocalPrefix(checkpoint.pages_path, checkpoint.region->end);
  if (!source.ok()) return source.error().WithContext(checkpoint.path);
  return source;
}

Result<LanceFile> ReadCheckpoint(const CheckpointFile& checkpoint) {
  LEMAN_ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> source, OpenCheckpoint(checkpoint));
  return ReadCheckpointTail(checkpoint, *source);
}

Status CheckRegion(const CheckpointFile& checkpoint, const PagesFile& pages, const std::atomic<bool>* cancel) {
  LEMAN_ASSIGN_OR_RETURN(const LanceFile file, ReadCheckpoint(checkpoint));
  LEMAN_ASSIGN_OR_RETURN(const uint32_t crc, ChecksumOfFile(pages.file(), file, cancel));
  if (crc == checkpoint.region->crc) return Ok();
  return MakeError(ErrorKind::kCorrupt, checkpoint.path, ": the bytes in the pages file are not those written");
}

Status CopyRegion(const CheckpointFile& checkpoint, const std::string& path) {
  LEMAN_ASSIGN_OR_RETURN(const LanceFile file, ReadCheckpoint(checkpoint));
  PlanOptions options;
  options.blob_values = BlobValues::kTake;
  LEMAN_ASSIGN_OR_RETURN(const AssemblyPlan plan, PlanAssembly({&file, 1}, options));
  LEMAN_RETURN_IF_ERROR(AssembleToFile(plan, {checkpoint.pages_path}, path));
  return Ok();
}

/// Regions as files of their own, for one who reads files; they go with this.
class Extracted {
 public:
  Extracted() = default;
  Extracted(const Extracted&) = delete;
  Extracted& operator=(const Extracted&) = delete;
  ~Extracted() {
    for (const std::string& path : paths_) ::unlink(path.c_str());
  }

  Result<std::vector<CheckpointFile>> Extract(std::vector<CheckpointFile> checkpoints) {
    for (CheckpointFile& checkpoint : checkpoints) {
      if (!checkpoint.region) continue;
      // By this name `leman clean` knows what a killed driver left.
      const size_t folder = checkpoint.path.rfind('/') + 1;
      const std::string path = checkpoint.path.substr(0, folder) + "tmp-" + checkpoint.path.substr(folder);
      paths_.push_back(path);
      LEMAN_RETURN_IF_ERROR(CopyRegion(checkpoint, path));
      checkpoint.path = path;
      checkpoint.region.reset();
    }
    return checkpoints;
  }

 private:
  std::vector<std::string> paths_;
};

/// The bytes of a file that no checkpoint accounts for may be this part of it.
constexpr int64_t kDeadPart = 8;

/// Of each checkpoint.
using BlobPlaces = std::span<const std::vector<BlobPlace>>;

class LocalFiles final : public AssemblyFiles {
 public:
  LocalFiles(const std::vector<CheckpointFile>& checkpoints, int64_t physical_rows, std::string output_path,
             const AssembleOptions& options)
      : checkpoints_(checkpoints),
        physical_rows_(physical_rows),
        output_path_(std::move(output_path)),
        options_(options) {}

  Result<std::unique_ptr<ByteSource>> OpenCheckpoint(size_t index) override {
    return leman::OpenCheckpoint(checkpoints_[index]);
  }

  [[nodiscard]] int requests_at_once() const override { return 1; }

  /// Whether every region is of the pages file that is there, and holds what was written.
  Status CheckCheckpoints() override {
    const std::string path = PagesPath();
    if (path.empty()) return Ok();
    LEMAN_ASSIGN_OR_RETURN(const PagesFile pages, PagesFile::Open(path));
    for (const CheckpointFile& checkpoint : checkpoints_) {
      if (!checkpoint.region) continue;
      if (checkpoint.pages_path != path || checkpoint.region->pages_id != pages.id()) {
        return MakeError(ErrorKind::kCorrupt, checkpoint.path, " is of another pages file");
      }
      if (checkpoint.check_bytes) LEMAN_RETURN_IF_ERROR(CheckRegion(checkpoint, pages, options_.cancel));
    }
    return Ok();
  }

  [[nodiscard]] int64_t RangeAlignment(int64_t average_bytes) const override {
    return average_bytes >= kAlignToBlocksFromBytes ? kBlockBytes : static_cast<int64_t>(kBufferAlignment);
  }

  /// The pages file, complete, under its name as data file.
  Result<std::optional<AssemblyBytes>> TakePlaced(const std::vector<LanceFile>& files,
                                                  const PlanOptions& options) override {
    if (PagesPath().empty()) return std::optional<AssemblyBytes>();
    LEMAN_ASSIGN_OR_RETURN(const bool complete, CompletePagesFile(files, options));
    if (!complete) return std::optional<AssemblyBytes>();
    LEMAN_ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> source, OpenLocalFile(PagesPath()));
    AssemblyBytes bytes;
    for (size_t i = 0; i < files.size(); ++i) {
      if (!checkpoints_[i].region) bytes.copied += files[i].size_bytes;
    }
    // Header, tail and gaps were written once, too.
    bytes.placed = source->size_bytes() - bytes.copied;
    LEMAN_RETURN_IF_ERROR(LinkFile(PagesPath(), output_path_));
    return std::optional(bytes);
  }

  Result<AssemblyBytes> TakeWhole(const AssemblyPlan& plan) override {
    LEMAN_RETURN_IF_ERROR(LinkFile(checkpoints_.front().path, output_path_));
    AssemblyBytes bytes;
    bytes.linked = plan.size_bytes;
    return bytes;
  }

  Result<AssemblyBytes> Stitch(const AssemblyPlan& plan) override {
    LEMAN_ASSIGN_OR_RETURN(const FileAssembly assembly, AssembleToFile(plan, Paths(), output_path_, CopyOptions()));
    AssemblyBytes bytes;
    bytes.reflinked = assembly.shared_bytes;
    bytes.copied = plan.size_bytes - assembly.shared_bytes;
    return bytes;
  }

  Status Reencode(Reencoder& reencoder) override {
    // A file of that name may be a checkpoint under a second name: it must not be written over.
    ::unlink(output_path_.c_str());
    Extracted extracted;
    LEMAN_ASSIGN_OR_RETURN(const std::vector<CheckpointFile> whole, extracted.Extract(checkpoints_));
    return reencoder.Reencode(whole, output_path_);
  }

  Result<std::unique_ptr<ByteSource>> OpenOutput() override { return OpenLocalFile(output_path_); }

  void RemoveOutput(const Error&) override {
    std::error_code error;
    if (own_folder_.empty()) {
      std::filesystem::remove(output_path_, error);
    } else {
      std::filesystem::remove_all(own_folder_, error);
    }
  }

  Result<std::unique_ptr<AssemblyFiles>> Beside(const std::string& path) override {
    auto beside = std::make_unique<LocalFiles>(checkpoints_, physical_rows_, path, options_);
    beside->own_folder_ = std::filesystem::path(path).parent_path();
    std::error_code error;
    std::filesystem::create_directories(beside->own_folder_, error);
    if (error) return PosixError("create", beside->own_folder_.string(), error.value());
    return std::unique_ptr<AssemblyFiles>(std::move(beside));
  }

 private:
  /// Empty where no checkpoint lies in one.
  [[nodiscard]] std::string PagesPath() const {
    const auto placed = std::find_if(checkpoints_.begin(), checkpoints_.end(),
                                     [](const CheckpointFile& checkpoint) { return checkpoint.region.has_value(); });
    return placed == checkpoints_.end() ? "" : placed->pages_path;
  }

  /// Makes a data file of the pages file; false if it cannot or should not become one.
  Result<bool> CompletePagesFile(const std::vector<LanceFile>& files, PlanOptions plan_options) {
    LEMAN_ASSIGN_OR_RETURN(PagesFile pages, PagesFile::Open(PagesPath()));
    int64_t placed = 0;
    int64_t others = 0;
    for (size_t i = 0; i < files.size(); ++i) {
      const auto& region = checkpoints_[i].region;
      plan_options.in_place.push_back(region.has_value());
      (region ? placed : others) += region ? region->size_bytes : files[i].size_bytes;
    }
    bool worth = true;
    const Status sealed = pages.Seal([&](int64_t size_bytes) -> Result<int64_t> {
      worth = size_bytes - kPagesHeaderBytes - placed <= (placed + others) / kDeadPart;
      if (!worth) return MakeError(ErrorKind::kUnsupported, "too much of the pages file is unused");
      plan_options.first_position = size_bytes;
      LEMAN_ASSIGN_OR_RETURN(const AssemblyPlan plan, PlanAssembly(files, plan_options));
      LEMAN_RETURN_IF_ERROR(AssembleInto(plan, Paths(), pages.file(), CopyOptions()));
      return plan.size_bytes;
    });
    if (sealed.ok()) return true;
    if (sealed.error().kind != ErrorKind::kUnsupported) return sealed.error();
    // One that an earlier run sealed is complete, if it was sealed with these checkpoints.
    LEMAN_ASSIGN_OR_RETURN(const bool was_sealed, pages.sealed());
    return was_sealed && HoldsExactly(files, plan_options.blobs_inside);
  }

  /// Whether the sealed pages file has the pages of `files`, where they are.
  [[nodiscard]] bool HoldsExactly(const std::vector<LanceFile>& files, BlobPlaces blobs_inside) const {
    const auto source = OpenLocalFile(PagesPath());
    if (!source.ok()) return false;
    const Result<LanceFile> whole = ReadLanceFile(**source);
    if (!whole.ok() || static_cast<int64_t>(whole->descriptor.rows) != physical_rows_) return false;
    if (!blobs_inside.empty()) return HoldsBlobs(*whole, **source, blobs_inside);
    for (size_t column = 0; column < whole->columns.size(); ++column) {
      size_t next = 0;
      for (size_t i = 0; i < files.size(); ++i) {
        if (!checkpoints_[i].region || files[i].columns.size() != whole->columns.size()) return false;
        for (const ColumnPage& page : files[i].columns[column].pages) {
          if (next == whole->columns[column].pages.size()) return false;
          const ColumnPage& found = whole->columns[column].pages[next++];
          if (found.length != page.length || found.buffers.size() != page.buffers.size()) return false;
          for (size_t k = 0; k < page.buffers.size(); ++k) {
            if (found.buffers[k] != page.buffers[k]) return false;
          }
        }
      }
      if (next != whole->columns[column].pages.size()) return false;
    }
    return true;
  }

  /// Whether a sealed pages file that keeps blobs has those of the checkpoints, where they are.
  [[nodiscard]] bool HoldsBlobs(const LanceFile& whole, ByteSource& source, BlobPlaces blobs_inside) const {
    std::vector<BlobPlace> places;
    for (size_t i = 0; i < checkpoints_.size(); ++i) {
      if (!checkpoints_[i].region) return false;
      places.insert(places.end(), blobs_inside[i].begin(), blobs_inside[i].end());
    }
    const std::vector<ColumnPage>& pages = whole.columns.front().pages;
    if (pages.empty() || pages.front().buffers.empty()) return false;
    const uint64_t position = pages.front().buffers.front().offset;
    const BlobColumn expected = MakeBlobColumn(whole.version, places, position);
    if (whole.columns.front() != expected.column) return false;
    const auto found = source.Read(static_cast<int64_t>(position), static_cast<int64_t>(expected.bytes.size()));
    return found.ok() && *found == expected.bytes;
  }

  [[nodiscard]] std::vector<std::string> Paths() const {
    std::vector<std::string> paths;
    for (const CheckpointFile& checkpoint : checkpoints_) {
      paths.push_back(checkpoint.region ? checkpoint.pages_path : checkpoint.path);
    }
    return paths;
  }

  [[nodiscard]] FileAssemblyOptions CopyOptions() const {
    FileAssemblyOptions file_options;
    file_options.threads = options_.threads;
    file_options.read_back = options_.verify_copy;
    file_options.cancel = options_.cancel;
    file_options.on_bytes = options_.on_bytes;
    return file_options;
  }

  const std::vector<CheckpointFile>& checkpoints_;
  int64_t physical_rows_;
  std::string output_path_;
  const AssembleOptions& options_;
  std::filesystem::path own_folder_;  ///< Empty: the output shares its folder with others.
};

}  // namespace

Status ExtractRegion(const CheckpointFile& checkpoint, const std::string& path, const std::atomic<bool>* cancel) {
  LEMAN_ASSIGN_OR_RETURN(const PagesFile pages, PagesFile::Open(checkpoint.pages_path));
  if (checkpoint.region->pages_id != pages.id()) {
    return MakeError(ErrorKind::kCorrupt, checkpoint.path, " is of another pages file");
  }
  LEMAN_RETURN_IF_ERROR(CheckRegion(checkpoint, pages, cancel));
  return CopyRegion(checkpoint, path);
}

Result<AssembledFile> AssembleFragment(const std::vector<CheckpointFile>& checkpoints, int64_t physical_rows,
                                       const std::string& output_path, Reencoder& reencoder,
                                       const AssembleOptions& options) {
  LocalFiles files(checkpoints, physical_rows, output_path, options);
  return MakeDataFile(checkpoints, physical_rows, output_path, files, reencoder, options);
}

}  // namespace leman
