// Carries out an assembly plan on the local file system.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "assemble/assembly_plan.h"
#include "assemble/posix_file.h"
#include "base/result.h"

namespace leman {

struct FileAssemblyOptions {
  int threads = 1;  ///< That copy ranges of this one file.
  bool read_back =
      true;  ///< Read every block after writing it and compare: while it is in the cache, that costs little.
  bool allocate = true;   ///< Give the output its size first; not where others make it longer meanwhile.
  bool checksum = false;  ///< Compute one of every copied piece, as it was read, for VerifyAssembled.
  const std::atomic<bool>* cancel = nullptr;
  std::function<void(int64_t bytes)> on_bytes;  ///< Called after bytes were copied; never twice at once.
};

/// A copied part of the output, with the checksum (CRC-32C) of the checkpoint's bytes.
struct CopiedPiece {
  int64_t position = 0;
  int64_t length = 0;
  uint32_t crc = 0;
};

struct FileAssembly {
  std::vector<CopiedPiece> pieces;  ///< Empty without `checksum`; without what was shared.
  int64_t copied_bytes = 0;
  int64_t shared_bytes = 0;  ///< Not copied: the file system shares the checkpoints' blocks (reflink).
};

/// Writes the file under `<output_path>.tmp` and renames it. On an error nothing is left; the error names the file and
/// the cause: kResourceExhausted for a full disk or quota, kCancelled, kCorrupt for a checkpoint that became shorter or
/// bytes that were read back different. `checkpoint_paths[i]` is the plan's checkpoint i.
Result<FileAssembly> AssembleToFile(const AssemblyPlan& plan, const std::vector<std::string>& checkpoint_paths,
                                    const std::string& output_path, const FileAssemblyOptions& options = {});

/// Writes what the plan writes into `output`, an open file whose other bytes stay as they are. Errors as above; what
/// was written by then is left.
Result<FileAssembly> AssembleInto(const AssemblyPlan& plan, const std::vector<std::string>& checkpoint_paths,
                                  const PosixFile& output, const FileAssemblyOptions& options = {});

/// Gives the file at `path` the further name `output_path`, in place of what had it. kUnsupported where the file system
/// has no links between the two places.
Status LinkFile(const std::string& path, const std::string& output_path);

}  // namespace leman
