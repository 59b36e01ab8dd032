#include "checkpoint/checkpoint_index.h"

#include <algorithm>

namespace leman {
namespace {

// Of ranges that may overlap, those apart from each other that hold most rows, in as few files as that takes; in row
// order. What the best choice among the ranges that end no later holds is known before each range is looked at.
std::vector<StoredCheckpoint> MostRows(std::vector<StoredCheckpoint> candidates) {
  std::sort(candidates.begin(), candidates.end(), [](const StoredCheckpoint& a, const StoredCheckpoint& b) {
    return a.range.end != b.range.end ? a.range.end < b.range.end : a.range.start < b.range.start;
  });
  struct Best {
    int64_t rows = 0;
    int64_t files = 0;
    bool taken = false;
    size_t before = 0;  // what goes with it where it is taken: the best of the first so many
  };
  std::vector<Best> best(candidates.size() + 1);
  for (size_t i = 0; i < candidates.size(); ++i) {
    const RowRange& range = candidates[i].range;
    const auto fits =
        std::upper_bound(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(i), range.start,
                         [](int64_t start, const StoredCheckpoint& other) { return start < other.range.end; });
    const auto before = static_cast<size_t>(fits - candidates.begin());
    const Best with{best[before].rows + range.rows(), best[before].files + 1, true, before};
    const Best& without = best[i];
    const bool better = with.rows != without.rows ? with.rows > without.rows : with.files < without.files;
    best[i + 1] = better ? with : Best{without.rows, without.files, false, 0};
  }
  std::vector<StoredCheckpoint> chosen;
  for (size_t i = candidates.size(); i > 0;) {
    if (!best[i].taken) {
      --i;
      continue;
    }
    chosen.push_back(std::move(candidates[i - 1]));
    i = best[i].before;
  }
  std::reverse(chosen.begin(), chosen.end());
  return chosen;
}

}  // namespace

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
  return MostRows(std::move(candidates));
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
