#include "assemble/fragment_assembler.h"

#include <unistd.h>

#include <memory>
#include <utility>

#include "assemble/assembly_plan.h"
#include "assemble/byte_source.h"
#include "assemble/column_layout.h"
#include "assemble/file_assembly.h"
#include "assemble/verify_assembled.h"

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

Result<LanceFile> ReadCheckpoint(const CheckpointFile& checkpoint) {
  LEMAN_ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> source, OpenLocalFile(checkpoint.path));
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

/// One assembly, once its checkpoints are known to cover the fragment.
class Assembly {
 public:
  Assembly(const std::vector<CheckpointFile>& checkpoints, int64_t physical_rows, const std::string& output_path,
           const AssembleOptions& options)
      : checkpoints_(checkpoints), physical_rows_(physical_rows), output_path_(output_path), options_(options) {}

  Result<AssembledFile> Run(Reencoder& reencoder) {
    Result<AssembledFile> joined = Join();
    if (joined.ok() || joined.error().kind != ErrorKind::kUnsupported) return joined;
    return Reencode(reencoder, joined.error().message);
  }

 private:
  /// kUnsupported, with the reason, where values must be encoded again.
  Result<AssembledFile> Join() {
    LEMAN_ASSIGN_OR_RETURN(const std::vector<LanceFile> files, ReadCheckpoints(checkpoints_));
    if (files.size() == 1) return TakeWhole(files.front());
    int64_t bytes = 0;
    for (const LanceFile& file : files) bytes += PageBytes(file);
    const auto columns = static_cast<int64_t>(files.front().columns.size());
    const auto count = static_cast<int64_t>(files.size());
    if (WorthCoalescing(files.size(), bytes, physical_rows_, columns, options_.coalesce_below_bytes)) {
      return MakeError(ErrorKind::kUnsupported, count, " checkpoints of ", bytes / count,
                       " bytes on average are small");
    }
    const PlanOptions plan_options{.range_alignment = bytes / count >= kAlignToBlocksFromBytes ? kBlockBytes : 64};
    LEMAN_ASSIGN_OR_RETURN(const AssemblyPlan plan, PlanAssembly(files, plan_options));
    return CarryOut(plan);
  }

  Result<AssembledFile> TakeWhole(const LanceFile& file) {
    const AssemblyPlan plan = PlanWholeCopy(file);
    Status linked = LinkFile(checkpoints_.front().path, output_path_);
    if (!linked.ok() && linked.error().kind == ErrorKind::kUnsupported) return CarryOut(plan);
    LEMAN_RETURN_IF_ERROR(linked);
    AssemblyBytes bytes;
    bytes.linked = plan.size_bytes;
    return Verify(plan, bytes, AssembledFile::Way::kLinked);
  }

  Result<AssembledFile> CarryOut(const AssemblyPlan& plan) {
    std::vector<std::string> paths;
    for (const CheckpointFile& checkpoint : checkpoints_) paths.push_back(checkpoint.path);
    FileAssemblyOptions file_options;
    file_options.threads = options_.threads;
    file_options.read_back = options_.verify_copy;
    file_options.cancel = options_.cancel;
    file_options.on_bytes = options_.on_bytes;
    LEMAN_ASSIGN_OR_RETURN(const FileAssembly assembly, AssembleToFile(plan, paths, output_path_, file_options));
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

  Result<AssembledFile> Reencode(Reencoder& reencoder, std::string reason) {
    if (options_.cancel != nullptr && *options_.cancel) {
      return MakeError(ErrorKind::kCancelled, "assembly was cancelled");
    }
    // A file of that name may be a checkpoint under a second name: it must not be written over.
    ::unlink(output_path_.c_str());
    if (Result<Unit> done = reencoder.Reencode(checkpoints_, output_path_); !done.ok()) {
      return done.error().WithContext("encode again (" + reason + ")");
    }
    LEMAN_ASSIGN_OR_RETURN(AssembledFile assembled,
                           Describe(VerifyReencoded(output_path_, physical_rows_), AssembledFile::Way::kReencoded, {}));
    assembled.bytes.reencoded = assembled.size_bytes;
    assembled.reencode_reason = std::move(reason);
    return assembled;
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
};

}  // namespace

Result<AssembledFile> AssembleFragment(const std::vector<CheckpointFile>& checkpoints, int64_t physical_rows,
                                       const std::string& output_path, Reencoder& reencoder,
                                       const AssembleOptions& options) {
  LEMAN_RETURN_IF_ERROR(CheckCoverage(checkpoints, physical_rows));
  return Assembly(checkpoints, physical_rows, output_path, options).Run(reencoder);
}

}  // namespace leman
