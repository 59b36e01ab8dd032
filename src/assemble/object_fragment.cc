#include "assemble/object_fragment.h"

#include <utility>

#include "assemble/assembly_plan.h"
#include "assemble/byte_source.h"
#include "assemble/column_layout.h"
#include "assemble/parallel_pieces.h"

namespace leman {
namespace {

constexpr int kRequestsAtOnce = 8;
/// S3 copies no larger object in one request.
constexpr int64_t kMaxCopiedObjectBytes = int64_t{5} << 30;

class ObjectSource final : public ByteSource {
 public:
  ObjectSource(ObjectStore& store, const CheckpointObject& object) : store_(store), object_(object) {}
  [[nodiscard]] int64_t size_bytes() const override { return object_.info.size_bytes; }
  Result<std::string> Read(int64_t offset, int64_t length) override {
    if (offset < 0 || length < 0 || length > size_bytes() || offset > size_bytes() - length) {
      return MakeError(ErrorKind::kCorrupt, object_.key, ": no ", length, " bytes at ", offset);
    }
    LEMAN_ASSIGN_OR_RETURN(std::string bytes, store_.GetRange(object_.key, offset, length));
    if (static_cast<int64_t>(bytes.size()) != length) {
      return MakeError(ErrorKind::kCorrupt, object_.key, ": no ", length, " bytes at ", offset);
    }
    return bytes;
  }

 private:
  ObjectStore& store_;
  const CheckpointObject& object_;
};

Result<LanceFile> ReadTail(ObjectStore& store, const CheckpointObject& object) {
  ObjectSource source(store, object);
  Result<LanceFile> file = ReadLanceFile(source);
  if (!file.ok()) return file.error().WithContext(object.key);
  return file;
}

Status Compare(const std::string& key, std::string_view what, int64_t found, int64_t expected) {
  if (found == expected) return Ok();
  return MakeError(ErrorKind::kCorrupt, key, ": ", what, " is ", found, ", expected ", expected);
}

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

class Assembly {
 public:
  Assembly(const std::vector<CheckpointFile>& checkpoints, int64_t physical_rows, const std::string& output_key,
           ObjectStore& store, PartUploads& uploads, Reencoder& reencoder, const AssembleOptions& options)
      : checkpoints_(checkpoints),
        physical_rows_(physical_rows),
        output_key_(output_key),
        store_(store),
        uploads_(uploads),
        reencoder_(reencoder),
        options_(options) {}

  Result<AssembledFile> Run() {
    Result<AssembledFile> joined = Join();
    if (joined.ok() || joined.error().kind != ErrorKind::kUnsupported) return joined;
    return Reencode(joined.error().message);
  }

 private:
  Result<AssembledFile> Join() {
    LEMAN_RETURN_IF_ERROR(ReadCheckpoints());
    switch (BlobFormOf(files_.front())) {
      case BlobForm::kInside:
        LEMAN_RETURN_IF_ERROR(FindBlobs());
        return CarryOutBlobs();
      case BlobForm::kBeside:
        return JoinBeside();
      default:
        return JoinFiles();
    }
  }

  Status FindBlobs() {
    blobs_.resize(files_.size());
    return ForEachPiece(files_.size(), kRequestsAtOnce, [this]() -> PieceWorker {
      return [this](size_t index) -> Status {
        ObjectSource source(store_, objects_[index]);
        Result<std::vector<BlobPlace>> places = PlacesOfBlobs(files_[index], source);
        if (!places.ok()) return places.error().WithContext(objects_[index].key);
        blobs_[index] = std::move(places).value();
        return Ok();
      };
    });
  }

  Result<AssembledFile> CarryOutBlobs() {
    PlanOptions plan_options;
    plan_options.blob_values = BlobValues::kTake;
    plan_options.blobs_inside = blobs_;
    LEMAN_ASSIGN_OR_RETURN(const AssemblyPlan plan, PlanAssembly(files_, plan_options));
    return CarryOut(plan, AssembledFile::Way::kStitched);
  }

  /// The values become an object of their own, of which the data file says where each blob lies.
  Result<AssembledFile> JoinBeside() {
    const std::string beside = BlobFileBeside(output_key_);
    Result<AssembledFile> made = DescribeBeside(beside);
    if (made.ok() || made.error().kind == ErrorKind::kRetryable) return made;
    (void)store_.Delete(beside);
    (void)store_.Delete(output_key_);
    return made;
  }

  Result<AssembledFile> DescribeBeside(const std::string& beside) {
    Assembly assembly(checkpoints_, physical_rows_, beside, store_, uploads_, reencoder_, options_);
    assembly.objects_ = objects_;
    assembly.files_ = files_;
    assembly.blob_values_ = BlobValues::kTake;
    LEMAN_ASSIGN_OR_RETURN(const AssembledFile values, assembly.JoinFiles());
    CheckpointObject object{beside, {}};
    LEMAN_ASSIGN_OR_RETURN(object.info, store_.Head(beside));
    ObjectSource source(store_, object);
    LEMAN_ASSIGN_OR_RETURN(const LanceFile file, ReadLanceFile(source));
    LEMAN_ASSIGN_OR_RETURN(const std::vector<BlobPlace> places, PlacesOfBlobs(file, source));
    LEMAN_RETURN_IF_ERROR(reencoder_.WriteBlobPlaces(places, output_key_));
    LEMAN_ASSIGN_OR_RETURN(AssembledFile made, Describe(ReadOutput(), values.bytes, values.way));
    made.bytes.reencoded += made.size_bytes;
    made.bytes_beside = values.size_bytes;
    return made;
  }

  Result<AssembledFile> JoinFiles() {
    if (files_.size() == 1) return TakeWhole();
    int64_t bytes = 0;
    for (const LanceFile& file : files_) bytes += PageBytes(file);
    const auto columns = static_cast<int64_t>(files_.front().columns.size());
    if (blob_values_ == BlobValues::kRefuse &&
        WorthCoalescing(files_.size(), bytes, physical_rows_, columns, options_.coalesce_below_bytes)) {
      const auto count = static_cast<int64_t>(files_.size());
      return MakeError(ErrorKind::kUnsupported, count, " checkpoints of ", bytes / count,
                       " bytes on average are small");
    }
    PlanOptions plan_options;
    plan_options.blob_values = blob_values_;
    LEMAN_ASSIGN_OR_RETURN(const AssemblyPlan plan, PlanAssembly(files_, plan_options));
    return CarryOut(plan, AssembledFile::Way::kStitched);
  }

  Status ReadCheckpoints() {
    objects_.resize(checkpoints_.size());
    files_.resize(checkpoints_.size());
    return ForEachPiece(checkpoints_.size(), kRequestsAtOnce, [this]() -> PieceWorker {
      return [this](size_t index) -> Status {
        const CheckpointFile& checkpoint = checkpoints_[index];
        LEMAN_ASSIGN_OR_RETURN(const ObjectInfo info, store_.Head(checkpoint.path));
        objects_[index] = {checkpoint.path, info};
        LEMAN_ASSIGN_OR_RETURN(files_[index], ReadTail(store_, objects_[index]));
        return Compare(checkpoint.path, "its number of rows", static_cast<int64_t>(files_[index].descriptor.rows),
                       checkpoint.end_row - checkpoint.start_row);
      };
    });
  }

  Result<AssembledFile> TakeWhole() {
    if (blob_values_ == BlobValues::kRefuse) LEMAN_RETURN_IF_ERROR(CheckIsDataFile(files_.front()));
    const AssemblyPlan plan = PlanWholeCopy(files_.front());
    if (plan.size_bytes > kMaxCopiedObjectBytes) return CarryOut(plan, AssembledFile::Way::kStitched);
    LEMAN_RETURN_IF_ERROR(store_.Copy(checkpoints_.front().path, output_key_));
    AssemblyBytes bytes;
    bytes.copied = plan.size_bytes;
    return Verify(plan, bytes, AssembledFile::Way::kLinked);
  }

  Result<AssembledFile> CarryOut(const AssemblyPlan& plan, AssembledFile::Way way) {
    ObjectAssemblyOptions object_options;
    object_options.threads = kRequestsAtOnce;
    object_options.cancel = options_.cancel;
    object_options.on_bytes = options_.on_bytes;
    LEMAN_RETURN_IF_ERROR(AssembleToObject(plan, objects_, output_key_, store_, uploads_, object_options));
    AssemblyBytes bytes;
    bytes.copied = plan.size_bytes;
    return Verify(plan, bytes, way);
  }

  Result<AssembledFile> Verify(const AssemblyPlan& plan, const AssemblyBytes& bytes, AssembledFile::Way way) {
    return Describe(ReadVerified(plan), bytes, way);
  }

  Result<LanceFile> ReadOutput() {
    CheckpointObject output{output_key_, {}};
    LEMAN_ASSIGN_OR_RETURN(output.info, store_.Head(output_key_));
    LEMAN_ASSIGN_OR_RETURN(LanceFile file, ReadTail(store_, output));
    LEMAN_RETURN_IF_ERROR(
        Compare(output_key_, "its number of rows", static_cast<int64_t>(file.descriptor.rows), physical_rows_));
    // A file whose columns are of a kind that cannot be joined is still a good file.
    const Result<std::vector<ColumnRole>> roles = RolesOfColumns(file);
    if (!roles.ok() && roles.error().kind != ErrorKind::kUnsupported) return roles.error().WithContext(output_key_);
    return file;
  }

  Result<LanceFile> ReadVerified(const AssemblyPlan& plan) {
    LEMAN_ASSIGN_OR_RETURN(LanceFile file, ReadOutput());
    LEMAN_RETURN_IF_ERROR(Compare(output_key_, "its size in bytes", file.size_bytes, plan.size_bytes));
    LEMAN_RETURN_IF_ERROR(
        Compare(output_key_, "its number of columns", static_cast<int64_t>(file.columns.size()), plan.columns));
    if (file.version != plan.version) return MakeError(ErrorKind::kCorrupt, output_key_, ": its file version is wrong");
    int64_t pages = 0;
    for (const ColumnMetadata& column : file.columns) pages += static_cast<int64_t>(column.pages.size());
    LEMAN_RETURN_IF_ERROR(Compare(output_key_, "its number of pages", pages, plan.pages));
    return file;
  }

  Result<AssembledFile> Reencode(std::string reason) {
    if (options_.cancel != nullptr && *options_.cancel) {
      return MakeError(ErrorKind::kCancelled, "assembly was cancelled");
    }
    if (Result<Unit> done = reencoder_.Reencode(checkpoints_, output_key_); !done.ok()) {
      return done.error().WithContext("encode again (" + reason + ")");
    }
    LEMAN_ASSIGN_OR_RETURN(AssembledFile assembled, Describe(ReadOutput(), {}, AssembledFile::Way::kReencoded));
    assembled.bytes.reencoded = assembled.size_bytes;
    assembled.reencode_reason = std::move(reason);
    return assembled;
  }

  /// A file that failed its verification is not left behind.
  Result<AssembledFile> Describe(const Result<LanceFile>& verified, const AssemblyBytes& bytes,
                                 AssembledFile::Way way) {
    if (!verified.ok()) {
      Error error = verified.error();
      // Where the store did not answer, the file may be good; it is not offered, and `leman clean` removes it.
      if (error.kind == ErrorKind::kRetryable) return error;
      (void)store_.Delete(output_key_);
      if (error.kind == ErrorKind::kUnsupported) error.kind = ErrorKind::kCorrupt;
      return error;
    }
    AssembledFile assembled;
    assembled.path = output_key_;
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
  const std::string& output_key_;
  ObjectStore& store_;
  PartUploads& uploads_;
  Reencoder& reencoder_;
  const AssembleOptions& options_;
  std::vector<CheckpointObject> objects_;
  std::vector<LanceFile> files_;
  BlobValues blob_values_ = BlobValues::kRefuse;
  std::vector<std::vector<BlobPlace>> blobs_;  ///< Of each checkpoint, where the data file keeps them.
};

}  // namespace

Result<AssembledFile> AssembleFragmentObject(const std::vector<CheckpointFile>& checkpoints, int64_t physical_rows,
                                             const std::string& output_key, ObjectStore& store, PartUploads& uploads,
                                             Reencoder& reencoder, const AssembleOptions& options) {
  LEMAN_RETURN_IF_ERROR(CheckCoverage(checkpoints, physical_rows));
  return Assembly(checkpoints, physical_rows, output_key, store, uploads, reencoder, options).Run();
}

}  // namespace leman
