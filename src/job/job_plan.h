// Plans a job on a version of its table: what the planner has to be told, and its plan.
#pragma once

#include "base/result.h"
#include "checkpoint/checkpoint_store.h"
#include "model/backfill_spec.h"
#include "plan/planner.h"
#include "table/table_snapshot.h"

namespace leman {

/// The plan on the version that `snapshot` is at. Without `carry`, checkpoints of fragments that were rewritten since
/// are left out.
Result<Plan> PlanOn(const BackfillSpec& spec, TableSnapshot& snapshot, CheckpointStore& checkpoints, bool carry = true);

}  // namespace leman
