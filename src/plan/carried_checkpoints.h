// Checkpoints of fragments that others have rewritten since, for the fragments where their rows are now.
#pragma once

#include <string>
#include <vector>

#include "checkpoint/checkpoint_index.h"
#include "model/backfill_spec.h"
#include "model/fragment_info.h"
#include "plan/file_history.h"

namespace leman {

/// The checkpoints that hold what would be computed for rows of `fragment` under `fragment_key`, in row order, none
/// overlapping. With StoredCheckpoint::taken: its own ones have none.
std::vector<StoredCheckpoint> UsableCheckpoints(const BackfillSpec& spec, const FragmentInfo& fragment,
                                                const std::string& fragment_key, const CheckpointIndex& index,
                                                const FileHistory& history);

/// Whether a plan gains from knowing that a rewrite kept its rows in order; of the rewrites before it, in_order is
/// known.
bool OrderMatters(const BackfillSpec& spec, const Rewrite& rewrite, const CheckpointIndex& index,
                  const FileHistory& history);

/// Whether all rows of the file are taken, in a file of its own: then it can be used as it is.
bool IsTakenWhole(const StoredCheckpoint& checkpoint);

}  // namespace leman
