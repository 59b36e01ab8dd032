// What checkpoints cost that are too small for an object store to copy.
#pragma once

#include <cstdint>
#include <string>

#include "plan/planner.h"

namespace leman {

/// S3: of every part of an upload but the last.
constexpr int64_t kSmallestPartBytes = 5 << 20;

/// Where the caller fixed the rows of checkpoints, of `row_bytes` each, so that they are too small, though fragments
/// are not: what that costs a job of `rows` rows, and what to do; else empty.
std::string SmallPartsNote(const BackfillSpec& spec, double row_bytes, int64_t rows, int64_t fragments);

/// The same for a plan, by the type of the values; of values whose size only they tell, from what size on that is so.
std::string SmallPartsAdvice(const BackfillSpec& spec, const Plan& plan);

}  // namespace leman
