#include "assemble/assembly_way.h"

#include <utility>

#include "assemble/blob_values.h"
#include "assemble/column_layout.h"
#include "assemble/parallel_pieces.h"
#include "assemble/verify_assembled.h"

namespace leman {
namespace {

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

bool IsUnreadable(const LanceFile& file) {
  const auto roles = RolesOfColumns(file);
  return roles.ok() && IsUnreadable(*roles);
}

/// One assembly, once its checkpoints are known to cover the fragment.
class Assembly {
 public:
  Assembly(const std::vector<CheckpointFile>& checkpoints, int64_t physical_rows, const std::string& output_path,
           AssemblyFiles& files, Reencoder& reencoder, const AssembleOptions& options)
      : checkpoints_(checkpoints),
        physical_rows_(physical_rows),
        output_path_(output_path),
        files_(files),
        reencoder_(reencoder),
        options_(options) {}

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
    LEMAN_ASSIGN_OR_RETURN(const std::vector<LanceFile> files, ReadCheckpoints());
    LEMAN_RETURN_IF_ERROR(files_.CheckCheckpoints());
    const BlobForm form = BlobFormOf(files.front());
    if (form == BlobForm::kBeside) return JoinBeside(files);
    if (form == BlobForm::kInside) LEMAN_RETURN_IF_ERROR(FindBlobs(files));
    return JoinFiles(files);
  }

  Status ForEachCheckpoint(const PieceWorker& work) {
    return ForEachPiece(checkpoints_.size(), files_.requests_at_once(), [&work] { return work; });
  }

  Result<std::vector<LanceFile>> ReadCheckpoints() {
    std::vector<LanceFile> files(checkpoints_.size());
    LEMAN_RETURN_IF_ERROR(ForEachCheckpoint([&](size_t index) -> Status {
      LEMAN_ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> source, files_.OpenCheckpoint(index));
      LEMAN_ASSIGN_OR_RETURN(files[index], ReadCheckpointTail(checkpoints_[index], *source));
      return Ok();
    }));
    return files;
  }

  /// For a column that keeps its blobs inside the data file.
  Status FindBlobs(const std::vector<LanceFile>& files) {
    blobs_inside_.clear();
    blobs_inside_.resize(files.size());
    blob_values_ = BlobValues::kTake;
    coalesce_ = false;
    return ForEachCheckpoint([&](size_t index) -> Status {
      LEMAN_ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> source, files_.OpenCheckpoint(index));
      Result<std::vector<BlobPlace>> places = PlacesOfBlobs(files[index], *source);
      if (!places.ok()) return places.error().WithContext(checkpoints_[index].path);
      blobs_inside_[index] = std::move(places).value();
      return Ok();
    });
  }

  /// The values become a file of their own, of which the data file says where each blob lies.
  Result<AssembledFile> JoinBeside(const std::vector<LanceFile>& files) {
    const std::string path = BlobFileBeside(output_path_);
    LEMAN_ASSIGN_OR_RETURN(const std::unique_ptr<AssemblyFiles> beside, files_.Beside(path));
    Assembly assembly(checkpoints_, physical_rows_, path, *beside, reencoder_, options_);
    assembly.blob_values_ = BlobValues::kTake;
    assembly.coalesce_ = false;
    Result<AssembledFile> made = DescribeBeside(assembly.JoinFiles(files), *beside);
    if (made.ok()) return made;
    beside->RemoveOutput(made.error());
    files_.RemoveOutput(made.error());
    return made;
  }

  Result<AssembledFile> DescribeBeside(const Result<AssembledFile>& values, AssemblyFiles& beside) {
    if (!values.ok()) return values.error();
    LEMAN_ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> source, beside.OpenOutput());
    LEMAN_ASSIGN_OR_RETURN(const LanceFile file, ReadLanceFile(*source));
    LEMAN_ASSIGN_OR_RETURN(const std::vector<BlobPlace> places, PlacesOfBlobs(file, *source));
    LEMAN_RETURN_IF_ERROR(reencoder_.WriteBlobPlaces(places, output_path_));
    LEMAN_ASSIGN_OR_RETURN(AssembledFile made, Describe(CheckedReencoded(ReadOutput()), values->way, values->bytes));
    made.bytes.reencoded += made.size_bytes;
    made.bytes_beside = values->size_bytes;
    return made;
  }

  Result<AssembledFile> JoinFiles(const std::vector<LanceFile>& files) {
    const bool own_file = !checkpoints_.front().region && !files_.only_placed();
    if (files.size() == 1 && own_file && blobs_inside_.empty()) return TakeWhole(files.front());
    int64_t bytes = 0;
    for (const LanceFile& file : files) bytes += PageBytes(file);
    const auto columns = static_cast<int64_t>(files.front().columns.size());
    const auto count = static_cast<int64_t>(files.size());
    const bool may_coalesce = coalesce_ && !files_.only_placed();
    if (may_coalesce && WorthCoalescing(files.size(), bytes, physical_rows_, columns, options_.coalesce_below_bytes)) {
      only_small_ = true;
      return MakeError(ErrorKind::kUnsupported, count, " checkpoints of ", bytes / count,
                       " bytes on average are small");
    }
    PlanOptions plan_options;
    plan_options.blob_values = blob_values_;
    plan_options.blobs_inside = blobs_inside_;
    plan_options.range_alignment = files_.RangeAlignment(bytes / count);
    LEMAN_ASSIGN_OR_RETURN(const std::optional<AssemblyBytes> placed, files_.TakePlaced(files, plan_options));
    if (placed) return TakePlaced(files, *placed);
    LEMAN_ASSIGN_OR_RETURN(const AssemblyPlan plan, PlanAssembly(files, plan_options));
    return Stitch(plan);
  }

  Result<AssembledFile> TakePlaced(const std::vector<LanceFile>& files, const AssemblyBytes& bytes) {
    const Result<LanceFile> whole = ReadOutput();
    AssembledExpectations expected;
    expected.version = files.front().version;
    expected.rows = physical_rows_;
    expected.columns = static_cast<int64_t>(files.front().columns.size());
    expected.size_bytes = bytes.placed + bytes.copied;
    if (whole.ok()) expected.pages = CountPages(*whole);
    return Describe(Checked(whole, expected), AssembledFile::Way::kPlaced, bytes);
  }

  Result<AssembledFile> TakeWhole(const LanceFile& file) {
    if (blob_values_ == BlobValues::kRefuse) LEMAN_RETURN_IF_ERROR(CheckIsDataFile(file));
    if (IsUnreadable(file)) {
      return MakeError(ErrorKind::kUnsupported, "a struct with a list inside is null in some pages only");
    }
    const AssemblyPlan plan = PlanWholeCopy(file);
    const Result<AssemblyBytes> taken = files_.TakeWhole(plan);
    if (!taken.ok() && taken.error().kind == ErrorKind::kUnsupported) return Stitch(plan);
    if (!taken.ok()) return taken.error();
    return Describe(Checked(ReadOutput(), ExpectedOf(plan)), AssembledFile::Way::kLinked, *taken);
  }

  Result<AssembledFile> Stitch(const AssemblyPlan& plan) {
    LEMAN_ASSIGN_OR_RETURN(const AssemblyBytes bytes, files_.Stitch(plan));
    return Describe(Checked(ReadOutput(), ExpectedOf(plan)), AssembledFile::Way::kStitched, bytes);
  }

  Result<AssembledFile> Reencode(std::string reason) {
    if (options_.cancel != nullptr && *options_.cancel) {
      return MakeError(ErrorKind::kCancelled, "assembly was cancelled");
    }
    if (const Status done = files_.Reencode(reencoder_); !done.ok()) {
      return done.error().WithContext("encode again (" + reason + ")");
    }
    const Result<LanceFile> output = ReadOutput();
    if (output.ok() && IsUnreadable(*output)) return RefuseUnreadable();
    LEMAN_ASSIGN_OR_RETURN(AssembledFile assembled,
                           Describe(CheckedReencoded(output), AssembledFile::Way::kReencoded, {}));
    assembled.bytes.reencoded = assembled.size_bytes;
    assembled.reencode_reason = std::move(reason);
    return assembled;
  }

  /// Better no data file than one that no reader can read.
  Error RefuseUnreadable() {
    Error error =
        MakeError(ErrorKind::kUnsupported,
                  "the column has structs with lists inside, and some of its structs are null: Lance cannot read "
                  "such a file from a certain size on. Let the function return a struct of nulls instead of a null "
                  "struct, or load the table in smaller fragments");
    files_.RemoveOutput(error);
    return error;
  }

  Result<LanceFile> ReadOutput() {
    LEMAN_ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> source, files_.OpenOutput());
    Result<LanceFile> file = ReadLanceFile(*source);
    if (!file.ok()) return file.error().WithContext(output_path_);
    return file;
  }

  [[nodiscard]] AssembledExpectations ExpectedOf(const AssemblyPlan& plan) const {
    AssembledExpectations expected;
    expected.version = plan.version;
    expected.rows = physical_rows_;
    expected.columns = plan.columns;
    expected.pages = plan.pages;
    expected.size_bytes = plan.size_bytes;
    return expected;
  }

  [[nodiscard]] Result<LanceFile> Checked(Result<LanceFile> output, const AssembledExpectations& expected) const {
    if (output.ok()) LEMAN_RETURN_IF_ERROR(CheckAssembled(*output, output_path_, expected));
    return output;
  }

  [[nodiscard]] Result<LanceFile> CheckedReencoded(Result<LanceFile> output) const {
    if (output.ok()) LEMAN_RETURN_IF_ERROR(CheckReencoded(*output, output_path_, physical_rows_));
    return output;
  }

  /// A file that failed its verification is not left behind.
  Result<AssembledFile> Describe(const Result<LanceFile>& verified, AssembledFile::Way way,
                                 const AssemblyBytes& bytes) {
    if (!verified.ok()) {
      Error error = verified.error();
      files_.RemoveOutput(error);
      // Taking another path would only hide what went wrong here.
      if (error.kind == ErrorKind::kUnsupported) error.kind = ErrorKind::kCorrupt;
      return error;
    }
    const VersionNumbers version = DataFileVersion(verified->version);
    AssembledFile assembled;
    assembled.path = output_path_;
    assembled.rows = static_cast<int64_t>(verified->descriptor.rows);
    assembled.size_bytes = verified->size_bytes;
    assembled.bytes = bytes;
    assembled.column_count = static_cast<int32_t>(verified->columns.size());
    assembled.major_version = version.major;
    assembled.minor_version = version.minor;
    assembled.way = way;
    return assembled;
  }

  const std::vector<CheckpointFile>& checkpoints_;
  int64_t physical_rows_;
  const std::string& output_path_;
  AssemblyFiles& files_;
  Reencoder& reencoder_;
  const AssembleOptions& options_;
  BlobValues blob_values_ = BlobValues::kRefuse;
  std::vector<std::vector<BlobPlace>> blobs_inside_;  ///< Of each checkpoint, where the data file keeps them.
  bool coalesce_ = true;
  bool only_small_ = false;  ///< To encode again was for the readers' sake alone.
};

}  // namespace

Result<LanceFile> ReadCheckpointTail(const CheckpointFile& checkpoint, ByteSource& source) {
  Result<LanceFile> file = ReadLanceFile(source);
  if (!file.ok()) return file.error().WithContext(checkpoint.path);
  const int64_t rows = checkpoint.end_row - checkpoint.start_row;
  if (static_cast<int64_t>(file->descriptor.rows) != rows) {
    return MakeError(ErrorKind::kCorrupt, checkpoint.path, " has ", file->descriptor.rows, " rows, expected ", rows);
  }
  return file;
}

Result<AssembledFile> MakeDataFile(const std::vector<CheckpointFile>& checkpoints, int64_t physical_rows,
                                   const std::string& output_path, AssemblyFiles& files, Reencoder& reencoder,
                                   const AssembleOptions& options) {
  LEMAN_RETURN_IF_ERROR(CheckCoverage(checkpoints, physical_rows));
  return Assembly(checkpoints, physical_rows, output_path, files, reencoder, options).Run();
}

}  // namespace leman
