// An assembly plan as the parts of a multipart upload: a pure function.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "assemble/assembly_plan.h"
#include "base/result.h"
#include "io/part_uploads.h"

namespace leman {

/// One part. A part of a single CheckpointRange can be copied inside the store; others go through this process.
struct ObjectPart {
  std::vector<std::variant<CheckpointRange, std::string>> pieces;
  int64_t size_bytes = 0;
  bool copied = false;
  friend bool operator==(const ObjectPart&, const ObjectPart&) = default;
};

/// The parts, in order, that make the file of `plan`. What lies between its segments is filled with further bytes of
/// the checkpoint, so that no part is needed for it, else with zeros. A range smaller than a part may be is put
/// together with its neighbours; with `copy_ranges` false all is. `checkpoint_sizes[i]` is the size of the plan's
/// checkpoint i. kInvalidArgument for a file that no object may be as large as.
Result<std::vector<ObjectPart>> PlanParts(const AssemblyPlan& plan, std::span<const int64_t> checkpoint_sizes,
                                          bool copy_ranges, const PartLimits& limits = {});

}  // namespace leman
