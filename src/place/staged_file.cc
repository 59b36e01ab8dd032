#include "place/staged_file.h"

#include <unistd.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "assemble/assembly_plan.h"
#include "assemble/byte_source.h"
#include "assemble/column_layout.h"
#include "assemble/file_assembly.h"
#include "assemble/lance_file.h"
#include "assemble/pages_file.h"
#include "assemble/verify_assembled.h"

namespace leman {
namespace {

int64_t AlignUp(int64_t value, int64_t alignment) { return (value + alignment - 1) / alignment * alignment; }

/// Whether pages of this file may turn out not to fit those of another checkpoint: then all are encoded again, and a
/// file of its own serves that better.
Result<bool> MayNotFitOthers(const LanceFile& file) {
  LEMAN_ASSIGN_OR_RETURN(const std::vector<ColumnRole> roles, RolesOfColumns(file));
  return std::any_of(roles.begin(), roles.end(), [](const ColumnRole& role) { return !role.struct_layers.empty(); });
}

Result<AssemblyPlan> PlanAt(const LanceFile& file, int64_t position) {
  PlanOptions options;
  options.range_alignment = kRegionAlignment;
  options.first_position = position;
  return PlanAssembly({&file, 1}, options);
}

}  // namespace

Result<PlacedRegion> PlaceStagedFile(const std::string& path, const std::string& pages_path) {
  LEMAN_ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> source, OpenLocalFile(path));
  LEMAN_ASSIGN_OR_RETURN(const LanceFile file, ReadLanceFile(*source));
  LEMAN_ASSIGN_OR_RETURN(const bool may_not_fit, MayNotFitOthers(file));
  if (may_not_fit) return MakeError(ErrorKind::kUnsupported, "structs with lists inside may not fit each other");
  // Greater positions take more bytes in the tail: at this one it is as long as it can be.
  constexpr int64_t kFarAway = int64_t{1} << 56;
  LEMAN_ASSIGN_OR_RETURN(const AssemblyPlan longest, PlanAt(file, kFarAway));
  const int64_t reserved = longest.size_bytes - kFarAway;
  LEMAN_ASSIGN_OR_RETURN(PagesFile pages, PagesFile::OpenOrCreate(pages_path));
  LEMAN_ASSIGN_OR_RETURN(const int64_t position, pages.Reserve(reserved));
  LEMAN_ASSIGN_OR_RETURN(const AssemblyPlan plan, PlanAt(file, position));
  if (plan.size_bytes > position + reserved) {
    return MakeError(ErrorKind::kInternal, pages_path, ": a tail is longer than what was reserved for it");
  }
  FileAssemblyOptions options;
  options.allocate = false;
  LEMAN_RETURN_IF_ERROR(AssembleInto(plan, {path}, pages.file(), options));
  LEMAN_ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> placed, OpenLocalPrefix(pages_path, plan.size_bytes));
  LEMAN_ASSIGN_OR_RETURN(const LanceFile found, ReadLanceFile(*placed));
  LEMAN_ASSIGN_OR_RETURN(const uint32_t crc, ChecksumOfFile(pages.file(), found, nullptr));
  ::unlink(path.c_str());
  return PlacedRegion{pages.id(), plan.size_bytes, AlignUp(reserved, kRegionAlignment), crc};
}

}  // namespace leman
