// Which way the data file of a fragment is made: one decision, wherever its files lie.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "assemble/assembly_plan.h"
#include "assemble/byte_source.h"
#include "assemble/fragment_assembler.h"
#include "assemble/lance_file.h"
#include "base/result.h"
#include "model/assembly_bytes.h"

namespace leman {

/// Port: the files of one assembly, on a disk or in an object store.
class AssemblyFiles {
 public:
  virtual ~AssemblyFiles() = default;
  /// Opens checkpoint `index`; may be called by requests_at_once() threads at once.
  virtual Result<std::unique_ptr<ByteSource>> OpenCheckpoint(size_t index) = 0;
  [[nodiscard]] virtual int requests_at_once() const = 0;
  /// Whether the checkpoints hold what was written, as far as the store can tell at little cost.
  virtual Status CheckCheckpoints() = 0;
  /// Ranges copied from and to multiples of it cost less, where checkpoints have `average_bytes`; at least 64.
  [[nodiscard]] virtual int64_t RangeAlignment(int64_t average_bytes) const = 0;
  /// Makes the output where checkpoints lie in it already; nothing where they do not, or it is not worth it. The
  /// AssemblyBytes are all of the output's size.
  virtual Result<std::optional<AssemblyBytes>> TakePlaced(const std::vector<LanceFile>& files,
                                                          const PlanOptions& options) = 0;
  /// Whether TakePlaced is the only way: what lies in the output already cannot be read before it is complete.
  [[nodiscard]] virtual bool only_placed() const { return false; }
  /// Gives the only checkpoint the output's name; kUnsupported where Stitch must do it.
  virtual Result<AssemblyBytes> TakeWhole(const AssemblyPlan& plan) = 0;
  virtual Result<AssemblyBytes> Stitch(const AssemblyPlan& plan) = 0;
  virtual Status Reencode(Reencoder& reencoder) = 0;
  virtual Result<std::unique_ptr<ByteSource>> OpenOutput() = 0;
  /// For `cause`, the output is not to be offered.
  virtual void RemoveOutput(const Error& cause) = 0;
  /// The same checkpoints for the output `path`, alone in its folder.
  virtual Result<std::unique_ptr<AssemblyFiles>> Beside(const std::string& path) = 0;
};

/// Makes `output_path` of `checkpoints` by `files`, verifies it and describes it; see AssembleFragment.
Result<AssembledFile> MakeDataFile(const std::vector<CheckpointFile>& checkpoints, int64_t physical_rows,
                                   const std::string& output_path, AssemblyFiles& files, Reencoder& reencoder,
                                   const AssembleOptions& options);

/// What the tail of `checkpoint` says, which `source` reads; kCorrupt if its rows are not as many as it is for.
Result<LanceFile> ReadCheckpointTail(const CheckpointFile& checkpoint, ByteSource& source);

}  // namespace leman
