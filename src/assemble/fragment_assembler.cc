#include "assemble/fragment_assembler.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "assemble/assembly_plan.h"
#include "assemble/blob_pages.h"
#include "assemble/byte_source.h"
#include "assemble/column_layout.h"
#include "assemble/file_assembly.h"
#include "assemble/pages_file.h"
#include "assemble/verify_assembled.h"
#include "io/local_object_store.h"

namespace leman {
namespace {

/// From this average size of a checkpoint on, starting ranges on a block costs nothing to speak of.
constexpr int64_t kAlignToBlocksFromBytes = 1 << 20;
constexpr int64_t kBlockBytes = 4096;

Status CheckCoverage(const std::vector<CheckpointFile>& checkpoints, int64_t physical_rows) {
  int64_t next_row = 0;
  for (const CheckpointFile& checkpoint : checkpoints) {
    if (checkpoint.start_row != next_row || checkpoint.end_row <= checkpoint.start_row) {
      return MakeError(ErrorKind::kInvalidArgument, "checkpoint ", checkpoint.path, " is of rows ",
                       checkpoint.start_row, " to ", checkpoint.end_row, ", expected it to begin at ", next_row);
    }
    next_row = checkpoint.end_row;
  }
  if (next_row == physical_rows && physical_rows > 0) return Ok();
  return MakeError(ErrorKind::kInvalidArgument, "the checkpoints end at row ", next_row, " of ", physical_rows);
}

Result<std::unique_ptr<ByteSource>> OpenCheckpoint(const CheckpointFile& checkpoint) {
  if (!checkpoint.region) return OpenLocalFile(checkpoint.path);
  auto source = OpenLocalPrefix(checkpoint.pages_path, checkpoint.region->end);
  if (!source.ok()) return source.error().WithContext(checkpoint.path);
  return source;
}

Result<LanceFile> ReadCheckpoint(const CheckpointFile& checkpoint) {
  LEMAN_ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> source, OpenCheckpoint(checkpoint));
  Result<LanceFile> file = ReadLanceFile(*source);
  if (!file.ok()) return file.error().WithContext(checkpoint.path);
  const int64_t rows = checkpoint.end_row - checkpoint.start_row;
  if (static_cast<int64_t>(file->descriptor.rows) != rows) {
    return MakeError(ErrorKind::kCorrupt, checkpoint.path, " has ", file->descriptor.rows, " rows, expected ", rows);
  }
  return file;
}

Result<std::vector<LanceFile>> ReadCheckpoints(const std::vector<CheckpointFile>& checkpoints) {
  std::vector<LanceFile> files;
  files.reserve(checkpoints.size());
  for (const CheckpointFile& checkpoint : checkpoints) {
    LEMAN_ASSIGN_OR_RETURN(LanceFile file, ReadCheckpoint(checkpoint));
    files.push_back(std::move(file));
  }
  return files;
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

/// One assembly, once its checkpoints are known to cover the fragment.
class Assembly {
 public:
  Assembly(const std::vector<CheckpointFile>& checkpoints, int64_t physical_rows, const std::string& output_path,
           const AssembleOptions& options, Reencoder& reencoder)
      : checkpoints_(checkpoints),
        physical_rows_(physical_rows),
        output_path_(output_path),
        options_(options),
        reencoder_(reencoder) {}

  Result<AssembledFile> Run() {
    Result<AssembledFile> joined = Join();
    if (joined.ok() || joined.error().kind != ErrorKind::kUnsupported) return joined;
    Result<AssembledFile> encoded = Reencode(joined.error().message);
    if (encoded.ok() || !only_small_) return encoded;
    const ErrorKind kind = encoded.error().kind;
    if (kind != ErrorKind::kInternal && kind != ErrorKind::kUnsupported && kind != ErrorKind::kInvalidArgument) {
      return encoded;
    }
    // Lance reads these values, and cannot write what it read: small pages are better than none.
    coalesce_ = false;
    joined = Join();
    return joined.ok() ? joined : encoded;
  }

 private:
  /// kUnsupported, with the reason, where values must be encoded again.
  Result<AssembledFile> Join() {
    LEMAN_ASSIGN_OR_RETURN(const std::vector<LanceFile> files, ReadCheckpoints(checkpoints_));
    LEMAN_RETURN_IF_ERROR(CheckRegions());
    switch (BlobFormOf(files.front())) {
      case BlobForm::kInside: {
        LEMAN_RETURN_IF_ERROR(FindBlobs(files));
        break;
      }
      case BlobForm::kBeside:
        return JoinBeside(files);
      default:
        break;
    }
    return JoinFiles(files);
  }

  /// The values become a file of their own, of which the data file says where each blob lies.
  Result<AssembledFile> JoinBeside(const std::vector<LanceFile>& files) {
    const std::string beside = BlobFileBeside(output_path_);
    const std::filesystem::path folder = std::filesystem::path(beside).parent_path();
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error) return PosixError("create", folder.string(), error.value());
    Result<AssembledFile> made = DescribeBeside(files, beside);
    if (made.ok()) return made;
    std::filesystem::remove_all(folder, error);
    ::unlink(output_path_.c_str());
    return made;
  }

  Result<AssembledFile> DescribeBeside(const std::vector<LanceFile>& files, const std::string& beside) {
    Assembly assembly(checkpoints_, physical_rows_, beside, options_, reencoder_);
    assembly.blob_values_ = BlobValues::kTake;
    assembly.coalesce_ = false;
    LEMAN_ASSIGN_OR_RETURN(const AssembledFile values, assembly.JoinFiles(files));
    LEMAN_ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> source, OpenLocalFile(beside));
    LEMAN_ASSIGN_OR_RETURN(const LanceFile file, ReadLanceFile(*source));
    LEMAN_ASSIGN_OR_RETURN(const std::vector<BlobPlace> places, PlacesOfBlobs(file, *source));
    LEMAN_RETURN_IF_ERROR(reencoder_.WriteBlobPlaces(places, output_path_));
    LEMAN_ASSIGN_OR_RETURN(AssembledFile made,
                           Describe(VerifyReencoded(output_path_, physical_rows_), values.way, values.bytes));
    made.bytes.reencoded += made.size_bytes;
    made.bytes_beside = values.size_bytes;
    return made;
  }

  /// For a column that keeps its blobs inside the data file.
  Status FindBlobs(const std::vector<LanceFile>& files) {
    blobs_inside_.clear();
    for (size_t i = 0; i < files.size(); ++i) {
      LEMAN_ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> source, OpenCheckpoint(checkpoints_[i]));
      Result<std::vector<BlobPlace>> places = PlacesOfBlobs(files[i], *source);
      if (!places.ok()) return places.error().WithContext(checkpoints_[i].path);
      blobs_inside_.push_back(std::move(places).value());
    }
    blob_values_ = BlobValues::kTake;
    coalesce_ = false;
    return Ok();
  }

  Result<AssembledFile> JoinFiles(const std::vector<LanceFile>& files) {
    if (files.size() == 1 && !checkpoints_.front().region && blobs_inside_.empty()) return TakeWhole(files.front());
    int64_t bytes = 0;
    for (const LanceFile& file : files) bytes += PageBytes(file);
    const auto columns = static_cast<int64_t>(files.front().columns.size());
    const auto count = static_cast<int64_t>(files.size());
    if (coalesce_ && WorthCoalescing(files.size(), bytes, physical_rows_, columns, options_.coalesce_below_bytes)) {
      only_small_ = true;
      return MakeError(ErrorKind::kUnsupported, count, " checkpoints of ", bytes / count,
                       " bytes on average are small");
    }
    PlanOptions plan_options;
    plan_options.blob_values = blob_values_;
    plan_options.blobs_inside = blobs_inside_;
    plan_options.range_alignment = bytes / count >= kAlignToBlocksFromBytes ? kBlockBytes : 64;
    if (!PagesPath().empty()) {
      LEMAN_ASSIGN_OR_RETURN(const bool complete, CompletePagesFile(files, plan_options));
      if (complete) return TakePagesFile(files);
    }
    LEMAN_ASSIGN_OR_RETURN(const AssemblyPlan plan, PlanAssembly(files, plan_options));
    return CarryOut(plan);
  }

  /// Empty where no checkpoint lies in one.
  [[nodiscard]] std::string PagesPath() const {
    const auto placed = std::find_if(checkpoints_.begin(), checkpoints_.end(),
                                     [](const CheckpointFile& checkpoint) { return checkpoint.region.has_value(); });
    return placed == checkpoints_.end() ? "" : placed->pages_path;
  }

  /// Whether every region is of the pages file that is there, and holds what was written.
  Status CheckRegions() {
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
    return was_sealed && HoldsExactly(files);
  }

  /// Whether the sealed pages file has the pages of `files`, where they are.
  [[nodiscard]] bool HoldsExactly(const std::vector<LanceFile>& files) const {
    const auto source = OpenLocalFile(PagesPath());
    if (!source.ok()) return false;
    const Result<LanceFile> whole = ReadLanceFile(**source);
    if (!whole.ok() || static_cast<int64_t>(whole->descriptor.rows) != physical_rows_) return false;
    if (!blobs_inside_.empty()) return HoldsBlobs(*whole, **source);
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
  [[nodiscard]] bool HoldsBlobs(const LanceFile& whole, ByteSource& source) const {
    std::vector<BlobPlace> places;
    for (size_t i = 0; i < checkpoints_.size(); ++i) {
      if (!checkpoints_[i].region) return false;
      places.insert(places.end(), blobs_inside_[i].begin(), blobs_inside_[i].end());
    }
    const std::vector<ColumnPage>& pages = whole.columns.front().pages;
    if (pages.empty() || pages.front().buffers.empty()) return false;
    const uint64_t position = pages.front().buffers.front().offset;
    const BlobColumn expected = MakeBlobColumn(whole.version, places, position);
    if (whole.columns.front() != expected.column) return false;
    const auto found = source.Read(static_cast<int64_t>(position), static_cast<int64_t>(expected.bytes.size()));
    return found.ok() && *found == expected.bytes;
  }

  /// The pages file, complete, under its name as data file.
  Result<AssembledFile> TakePagesFile(const std::vector<LanceFile>& files) {
    AssembledExpectations expected;
    expected.version = files.front().version;
    expected.rows = physical_rows_;
    expected.columns = static_cast<int64_t>(files.front().columns.size());
    LEMAN_ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> source, OpenLocalFile(PagesPath()));
    expected.size_bytes = source->size_bytes();
    LEMAN_ASSIGN_OR_RETURN(const LanceFile whole, ReadLanceFile(*source));
    for (const ColumnMetadata& column : whole.columns) expected.pages += static_cast<int64_t>(column.pages.size());
    AssemblyBytes bytes;
    for (size_t i = 0; i < files.size(); ++i) {
      if (!checkpoints_[i].region) bytes.copied += files[i].size_bytes;
    }
    // Header, tail and gaps were written once, too.
    bytes.placed = expected.size_bytes - bytes.copied;
    LEMAN_RETURN_IF_ERROR(LinkFile(PagesPath(), output_path_));
    return Describe(VerifyAssembled(output_path_, expected), AssembledFile::Way::kPlaced, bytes);
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

  Result<AssembledFile> TakeWhole(const LanceFile& file) {
    if (blob_values_ == BlobValues::kRefuse) LEMAN_RETURN_IF_ERROR(CheckIsDataFile(file));
    if (const auto roles = RolesOfColumns(file); roles.ok() && IsUnreadable(*roles)) {
      return MakeError(ErrorKind::kUnsupported, "a struct with a list inside is null in some pages only");
    }
    const AssemblyPlan plan = PlanWholeCopy(file);
    Status linked = LinkFile(checkpoints_.front().path, output_path_);
    if (!linked.ok() && linked.error().kind == ErrorKind::kUnsupported) return CarryOut(plan);
    LEMAN_RETURN_IF_ERROR(linked);
    AssemblyBytes bytes;
    bytes.linked = plan.size_bytes;
    return Verify(plan, bytes, AssembledFile::Way::kLinked);
  }

  Result<AssembledFile> CarryOut(const AssemblyPlan& plan) {
    LEMAN_ASSIGN_OR_RETURN(const FileAssembly assembly, AssembleToFile(plan, Paths(), output_path_, CopyOptions()));
    AssemblyBytes bytes;
    bytes.reflinked = assembly.shared_bytes;
    bytes.copied = plan.size_bytes - assembly.shared_bytes;
    return Verify(plan, bytes, AssembledFile::Way::kStitched);
  }

  Result<AssembledFile> Verify(const AssemblyPlan& plan, const AssemblyBytes& bytes, AssembledFile::Way way) {
    AssembledExpectations expected;
    expected.version = plan.version;
    expected.rows = physical_rows_;
    expected.columns = plan.columns;
    expected.pages = plan.pages;
    expected.size_bytes = plan.size_bytes;
    return Describe(VerifyAssembled(output_path_, expected), way, bytes);
  }

  Result<AssembledFile> Reencode(std::string reason) {
    if (options_.cancel != nullptr && *options_.cancel) {
      return MakeError(ErrorKind::kCancelled, "assembly was cancelled");
    }
    // A file of that name may be a checkpoint under a second name: it must not be written over.
    ::unlink(output_path_.c_str());
    Extracted extracted;
    LEMAN_ASSIGN_OR_RETURN(const std::vector<CheckpointFile> whole, extracted.Extract(checkpoints_));
    if (Result<Unit> done = reencoder_.Reencode(whole, output_path_); !done.ok()) {
      return done.error().WithContext("encode again (" + reason + ")");
    }
    LEMAN_RETURN_IF_ERROR(CheckReadable());
    LEMAN_ASSIGN_OR_RETURN(AssembledFile assembled,
                           Describe(VerifyReencoded(output_path_, physical_rows_), AssembledFile::Way::kReencoded, {}));
    assembled.bytes.reencoded = assembled.size_bytes;
    assembled.reencode_reason = std::move(reason);
    return assembled;
  }

  /// Better no data file than one that no reader can read.
  Status CheckReadable() const {
    const auto source = OpenLocalFile(output_path_);
    if (!source.ok()) return Ok();  // The verification says what is wrong.
    const Result<LanceFile> file = ReadLanceFile(**source);
    if (!file.ok()) return Ok();
    const auto roles = RolesOfColumns(*file);
    if (!roles.ok() || !IsUnreadable(*roles)) return Ok();
    ::unlink(output_path_.c_str());
    return MakeError(ErrorKind::kUnsupported,
                     "the column has structs with lists inside, and some of its structs are null: Lance cannot read "
                     "such a file from a certain size on. Let the function return a struct of nulls instead of a null "
                     "struct, or load the table in smaller fragments");
  }

  /// A file that failed its verification is not left behind.
  Result<AssembledFile> Describe(const Result<LanceFile>& verified, AssembledFile::Way way,
                                 const AssemblyBytes& bytes) {
    if (!verified.ok()) {
      ::unlink(output_path_.c_str());
      Error error = verified.error();
      // Taking another path would only hide what went wrong here.
      if (error.kind == ErrorKind::kUnsupported) error.kind = ErrorKind::kCorrupt;
      return error;
    }
    AssembledFile assembled;
    assembled.path = output_path_;
    assembled.rows = static_cast<int64_t>(verified->descriptor.rows);
    assembled.size_bytes = verified->size_bytes;
    assembled.bytes = bytes;
    assembled.column_count = static_cast<int32_t>(verified->columns.size());
    assembled.major_version = DataFileVersion(verified->version).major;
    assembled.minor_version = DataFileVersion(verified->version).minor;
    assembled.way = way;
    return assembled;
  }

  const std::vector<CheckpointFile>& checkpoints_;
  int64_t physical_rows_;
  const std::string& output_path_;
  const AssembleOptions& options_;
  Reencoder& reencoder_;
  BlobValues blob_values_ = BlobValues::kRefuse;
  std::vector<std::vector<BlobPlace>> blobs_inside_;  ///< Of each checkpoint, where the data file keeps them.
  bool coalesce_ = true;
  bool only_small_ = false;  ///< To encode again was for the readers' sake alone.
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
  LEMAN_RETURN_IF_ERROR(CheckCoverage(checkpoints, physical_rows));
  return Assembly(checkpoints, physical_rows, output_path, options, reencoder).Run();
}

}  // namespace leman
