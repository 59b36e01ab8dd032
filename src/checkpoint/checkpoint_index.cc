#include "checkpoint/checkpoint_index.h"

#include <algorithm>

namespace leman {

CheckpointIndex::CheckpointIndex(std::vector<StoredCheckpoint> stored) {
  for (StoredCheckpoint& checkpoint : stored) {
    by_fragment_[checkpoint.range.fragment_id].push_back(std::move(checkpoint));
  }
}

std::vector<StoredCheckpoint> CheckpointIndex::Of(int64_t fragment_id, const std::string& fragment_key,
                                                  int64_t physical_rows) const {
  const auto found = by_fragment_.find(fragment_id);
  if (found == by_fragment_.end()) return {};
  std::vector<StoredCheckpoint> candidates;
  for (const StoredCheckpoint& checkpoint : found->second) {
    if (checkpoint.fragment_key == fragment_key && checkpoint.range.end <= physical_rows) {
      candidates.push_back(checkpoint);
    }
  }
  std::sort(candidates.begin(), candidates.end(), [](const StoredCheckpoint& a, const StoredCheckpoint& b) {
    if (a.range.rows() != b.range.rows()) return a.range.rows() > b.range.rows();
    return a.range.start < b.range.start;
  });
  std::map<int64_t, StoredCheckpoint> chosen;  // by start
  for (const StoredCheckpoint& checkpoint : candidates) {
    const auto next = chosen.lower_bound(checkpoint.range.start);
    if (next != chosen.end() && next->second.range.start < checkpoint.range.end) continue;
    if (next != chosen.begin() && std::prev(next)->second.range.end > checkpoint.range.start) continue;
    chosen.emplace(checkpoint.range.start, checkpoint);
  }
  std::vector<StoredCheckpoint> in_order;
  in_order.reserve(chosen.size());
  for (auto& [start, checkpoint] : chosen) in_order.push_back(std::move(checkpoint));
  return in_order;
}

std::vector<RowRange> MissingRanges(int64_t fragment_id, int64_t physical_rows, const std::vector<RowRange>& covered) {
  std::vector<RowRange> missing;
  int64_t at = 0;
  for (const RowRange& range : covered) {
    if (range.start > at) missing.push_back({fragment_id, at, range.start});
    at = std::max(at, range.end);
  }
  if (at < physical_rows) missing.push_back({fragment_id, at, physical_rows});
  return missing;
}

}  // namespace leman
