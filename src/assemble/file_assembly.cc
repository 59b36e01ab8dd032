#include "assemble/file_assembly.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "assemble/parallel_pieces.h"
#include "assemble/posix_file.h"
#include "base/crc32c.h"
#include "io/local_object_store.h"

namespace leman {
namespace {

constexpr int64_t kPieceBytes = 32 << 20;
constexpr int64_t kBlockBytes = 256 << 10;     // Stays in the processor's cache between reading, writing and comparing.
constexpr int64_t kKernelCopyBytes = 8 << 20;  // Between two looks at the cancel flag.
constexpr int64_t kShareAlignment = 4096;

/// Deletes a file unless it was kept.
class TemporaryName {
 public:
  explicit TemporaryName(std::string path) : path_(std::move(path)) {}
  TemporaryName(const TemporaryName&) = delete;
  TemporaryName& operator=(const TemporaryName&) = delete;
  ~TemporaryName() { ::unlink(path_.c_str()); }

  [[nodiscard]] const std::string& path() const { return path_; }
  Status RenameTo(const std::string& output_path) const {
    if (::rename(path_.c_str(), output_path.c_str()) != 0) return PosixError("rename to", output_path, errno);
    return Ok();
  }

 private:
  std::string path_;
};

struct Piece {
  CheckpointRange source;
  int64_t position = 0;
};

/// Ranges are carried out in any order, so none may lie over another.
Status CheckPlan(const AssemblyPlan& plan, size_t checkpoints) {
  int64_t end = 0;
  for (const Segment& segment : plan.segments) {
    if (segment.position < end) return MakeError(ErrorKind::kInternal, "the plan's segments overlap at ", end);
    const auto* range = std::get_if<CheckpointRange>(&segment.content);
    if (range != nullptr && range->checkpoint >= checkpoints) {
      return MakeError(ErrorKind::kInternal, "the plan names checkpoint ", range->checkpoint, " of ", checkpoints);
    }
    end = segment.position +
          (range != nullptr ? range->length : static_cast<int64_t>(std::get<std::string>(segment.content).size()));
  }
  if (end != plan.size_bytes) return MakeError(ErrorKind::kInternal, "the plan ends at ", end, ", not its size");
  return Ok();
}

std::vector<Piece> PiecesOf(const AssemblyPlan& plan) {
  std::vector<Piece> pieces;
  for (const Segment& segment : plan.segments) {
    const auto* range = std::get_if<CheckpointRange>(&segment.content);
    if (range == nullptr) continue;
    for (int64_t done = 0; done < range->length; done += kPieceBytes) {
      const int64_t length = std::min(kPieceBytes, range->length - done);
      pieces.push_back({{range->checkpoint, range->offset + done, length}, segment.position + done});
    }
  }
  return pieces;
}

/// Copies pieces into one output; each thread has its own PieceCopier, they share this.
struct CopyJob {
  const std::vector<Piece>& pieces;
  const std::vector<std::string>& paths;
  const PosixFile& output;
  const FileAssemblyOptions& options;
  std::vector<CopiedPiece> copied;  ///< One a piece.
  std::atomic<int64_t> shared_bytes{0};
  std::atomic<bool> can_share{true};  ///< Until the file system said no.
  std::mutex progress_mutex;

  Status Progress(int64_t bytes) {
    if (options.on_bytes) {
      const std::lock_guard lock(progress_mutex);
      options.on_bytes(bytes);
    }
    if (options.cancel != nullptr && *options.cancel) return MakeError(ErrorKind::kCancelled, "assembly was cancelled");
    return Ok();
  }
};

class PieceCopier {
 public:
  explicit PieceCopier(CopyJob& job) : job_(job) {}

  Status Copy(size_t index) {
    LEMAN_RETURN_IF_ERROR(job_.Progress(0));
    const Piece& piece = job_.pieces[index];
    LEMAN_RETURN_IF_ERROR(OpenSource(piece.source.checkpoint));
    const int64_t shared = Share(piece);
    if (shared > 0) {
      job_.shared_bytes += shared;
      LEMAN_RETURN_IF_ERROR(job_.Progress(shared));
    }
    CopiedPiece& copied = job_.copied[index];
    copied.position = piece.position + shared;
    copied.length = piece.source.length - shared;
    const int64_t offset = piece.source.offset + shared;
    if (job_.options.checksum || job_.options.read_back) return CopyBlocks(offset, copied);
    return CopyInKernel(offset, copied);
  }

 private:
  Status OpenSource(size_t checkpoint) {
    if (checkpoint == open_checkpoint_) return Ok();
    LEMAN_ASSIGN_OR_RETURN(source_, PosixFile::OpenForReading(job_.paths[checkpoint]));
    open_checkpoint_ = checkpoint;
    return Ok();
  }

  /// Lets the output share the checkpoint's blocks, where the file system can; returns the bytes shared.
  int64_t Share(const Piece& piece) {
    const int64_t length = piece.source.length / kShareAlignment * kShareAlignment;
    if (!job_.can_share || length == 0) return 0;
    if (piece.source.offset % kShareAlignment != 0 || piece.position % kShareAlignment != 0) return 0;
    file_clone_range range{};
    range.src_fd = source_.fd();
    range.src_offset = static_cast<uint64_t>(piece.source.offset);
    range.src_length = static_cast<uint64_t>(length);
    range.dest_offset = static_cast<uint64_t>(piece.position);
    if (::ioctl(job_.output.fd(), FICLONERANGE, &range) == 0) return length;
    job_.can_share = false;
    return 0;
  }

  Status CopyBlocks(int64_t offset, CopiedPiece& copied) {
    block_.resize(static_cast<size_t>(kBlockBytes));
    for (int64_t done = 0; done < copied.length;) {
      const int64_t n = std::min(kBlockBytes, copied.length - done);
      LEMAN_RETURN_IF_ERROR(source_.ReadAt(offset + done, block_.data(), static_cast<size_t>(n)));
      if (job_.options.checksum) copied.crc = Crc32c(block_.data(), static_cast<size_t>(n), copied.crc);
      LEMAN_RETURN_IF_ERROR(job_.output.WriteAt(copied.position + done, block_.data(), static_cast<size_t>(n)));
      if (job_.options.read_back) LEMAN_RETURN_IF_ERROR(ReadBack(copied.position + done, static_cast<size_t>(n)));
      done += n;
      LEMAN_RETURN_IF_ERROR(job_.Progress(n));
    }
    return Ok();
  }

  /// Compares the output with the block just written there.
  Status ReadBack(int64_t position, size_t length) {
    read_back_.resize(block_.size());
    LEMAN_RETURN_IF_ERROR(job_.output.ReadAt(position, read_back_.data(), length));
    if (std::memcmp(read_back_.data(), block_.data(), length) == 0) return Ok();
    return MakeError(ErrorKind::kCorrupt, job_.output.path(), ": the ", length, " bytes written at ", position,
                     " were read back different");
  }

  Status CopyInKernel(int64_t offset, CopiedPiece& copied) {
    int64_t done = 0;
    while (done < copied.length) {
      off_t from = offset + done;
      off_t to = copied.position + done;
      const auto wanted = static_cast<size_t>(std::min(kKernelCopyBytes, copied.length - done));
      const ssize_t n = ::copy_file_range(source_.fd(), &from, job_.output.fd(), &to, wanted, 0);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) break;  // Not between these files, or the end of the source: the plain way works or names the cause.
      done += n;
      LEMAN_RETURN_IF_ERROR(job_.Progress(n));
    }
    CopiedPiece rest{copied.position + done, copied.length - done, 0};
    return CopyBlocks(offset + done, rest);
  }

  CopyJob& job_;
  PosixFile source_;
  std::optional<size_t> open_checkpoint_;
  std::string block_;
  std::string read_back_;
};

Status WriteLiterals(const AssemblyPlan& plan, const PosixFile& output) {
  for (const Segment& segment : plan.segments) {
    const auto* literal = std::get_if<std::string>(&segment.content);
    if (literal != nullptr) LEMAN_RETURN_IF_ERROR(output.WriteAt(segment.position, literal->data(), literal->size()));
  }
  return Ok();
}

}  // namespace

Result<FileAssembly> AssembleToFile(const AssemblyPlan& plan, const std::vector<std::string>& checkpoint_paths,
                                    const std::string& output_path, const FileAssemblyOptions& options) {
  if (plan.placed_bytes > 0) return MakeError(ErrorKind::kInternal, "the plan is for a file that has pages already");
  const TemporaryName temporary(output_path + ".tmp");
  LEMAN_ASSIGN_OR_RETURN(PosixFile output, PosixFile::Create(temporary.path()));
  LEMAN_ASSIGN_OR_RETURN(FileAssembly assembly, AssembleInto(plan, checkpoint_paths, output, options));
  LEMAN_RETURN_IF_ERROR(output.Close());
  LEMAN_RETURN_IF_ERROR(temporary.RenameTo(output_path));
  return assembly;
}

Result<FileAssembly> AssembleInto(const AssemblyPlan& plan, const std::vector<std::string>& checkpoint_paths,
                                  const PosixFile& output, const FileAssemblyOptions& options) {
  LEMAN_RETURN_IF_ERROR(CheckPlan(plan, checkpoint_paths.size()));
  const std::vector<Piece> pieces = PiecesOf(plan);
  if (options.allocate) LEMAN_RETURN_IF_ERROR(output.Allocate(plan.size_bytes));
  CopyJob job{pieces, checkpoint_paths, output, options, std::vector<CopiedPiece>(pieces.size())};
  LEMAN_RETURN_IF_ERROR(ForEachPiece(pieces.size(), options.threads, [&job]() -> PieceWorker {
    return [copier = std::make_shared<PieceCopier>(job)](size_t piece) { return copier->Copy(piece); };
  }));
  LEMAN_RETURN_IF_ERROR(WriteLiterals(plan, output));
  FileAssembly assembly;
  assembly.shared_bytes = job.shared_bytes;
  assembly.copied_bytes = plan.copied_bytes - assembly.shared_bytes;
  if (options.checksum) assembly.pieces = std::move(job.copied);
  return assembly;
}

Status LinkFile(const std::string& path, const std::string& output_path) {
  const TemporaryName temporary(output_path + ".tmp");
  if (::unlink(temporary.path().c_str()) != 0 && errno != ENOENT) return PosixError("replace", temporary.path(), errno);
  if (::link(path.c_str(), temporary.path().c_str()) == 0) return temporary.RenameTo(output_path);
  switch (errno) {
    case EXDEV:
    case EPERM:
    case EMLINK:
    case EOPNOTSUPP:
    case ENOSYS:
      return MakeError(ErrorKind::kUnsupported, "no link from ", output_path, " to ", path);
    default:
      return PosixError("link to " + path + " as", output_path, errno);
  }
}

}  // namespace leman
