// Which rows of which fragment are checkpointed already, and which are missing.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "checkpoint/checkpoint_store.h"
#include "model/row_range.h"

namespace leman {

/// Pure. Holds a set of checkpoints per fragment that do not overlap; of candidates that overlap, those are
/// taken that together hold most rows.
class CheckpointIndex {
 public:
  CheckpointIndex() = default;
  explicit CheckpointIndex(std::vector<StoredCheckpoint> stored);

  /// The checkpoints of a fragment under `fragment_key` within [0, physical_rows), in row order, none overlapping.
  [[nodiscard]] std::vector<StoredCheckpoint> Of(int64_t fragment_id, const std::string& fragment_key,
                                                 int64_t physical_rows) const;
  [[nodiscard]] bool empty() const { return by_fragment_.empty(); }

 private:
  std::map<int64_t, std::vector<StoredCheckpoint>> by_fragment_;
};

/// The parts of [0, physical_rows) of a fragment that `covered` (in row order, not overlapping) leaves out.
std::vector<RowRange> MissingRanges(int64_t fragment_id, int64_t physical_rows, const std::vector<RowRange>& covered);

}  // namespace leman
