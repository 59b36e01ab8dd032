#include "plan/carried_checkpoints.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "model/checkpoint_key.h"
#include "plan/fragment_decision.h"

namespace leman {
namespace {

// Of `taken`, the rows from the `start`th up to the `end`th.
void AppendSlice(const std::vector<RowRange>& taken, int64_t start, int64_t end, std::vector<RowRange>& out) {
  int64_t at = 0;
  for (const RowRange& range : taken) {
    const int64_t from = range.start + std::max<int64_t>(0, start - at);
    const int64_t to = range.start + std::min(range.rows(), end - at);
    at += range.rows();
    if (from >= to) continue;
    if (!out.empty() && out.back().end == from) {
      out.back().end = to;
    } else {
      out.push_back({range.fragment_id, from, to});
    }
  }
}

// What of `checkpoint`, of a fragment that was rewritten, is in `fragment` now.
std::optional<StoredCheckpoint> Carried(const StoredCheckpoint& checkpoint, const RewriteSource& source, int64_t first,
                                        const FragmentInfo& fragment, int64_t fragment_first,
                                        const std::string& fragment_key) {
  const RowRange& range = checkpoint.range;
  const std::vector<RowRange> taken = checkpoint.taken.empty() ? std::vector<RowRange>{range} : checkpoint.taken;
  StoredCheckpoint carried{{fragment.id, -1, -1}, fragment_key, checkpoint.file_name, checkpoint.size_bytes};
  for (const RewrittenRange& run : FollowRows(source, first, range.start, range.end)) {
    const int64_t start = std::max(run.position, fragment_first);
    const int64_t end = std::min(run.position + run.end - run.start, fragment_first + fragment.physical_rows);
    if (start >= end) continue;
    if (carried.range.start < 0) carried.range.start = start - fragment_first;
    carried.range.end = end - fragment_first;
    const int64_t offset = run.start - range.start - run.position;
    AppendSlice(taken, start + offset, end + offset, carried.taken);
  }
  if (carried.taken.empty()) return std::nullopt;
  return carried;
}

// What of `checkpoint` lies within `gap`.
void AddWithin(const StoredCheckpoint& checkpoint, const RowRange& gap, std::vector<StoredCheckpoint>& out) {
  const RowRange& range = checkpoint.range;
  const RowRange within{range.fragment_id, std::max(range.start, gap.start), std::min(range.end, gap.end)};
  if (within.start >= within.end) return;
  StoredCheckpoint part = checkpoint;
  part.range = within;
  part.taken.clear();
  AppendSlice(checkpoint.taken, within.start - range.start, within.end - range.start, part.taken);
  out.push_back(std::move(part));
}

std::string KeyOf(const FragmentInfo& fragment, const FragmentDecision& decision) {
  const bool all = decision.need == FragmentDecision::Need::kAll;
  return FragmentKey(fragment, all ? Selection::kAll : Selection::kFilter, decision.filter);
}

std::vector<StoredCheckpoint> UsableOfSource(const BackfillSpec& spec, const FragmentInfo& source,
                                             const CheckpointIndex& index, const FileHistory& history) {
  const FragmentDecision decision = DecideFragment(spec, source, history);
  if (decision.need == FragmentDecision::Need::kNothing) return {};
  return UsableCheckpoints(spec, source, KeyOf(source, decision), index, history);
}

}  // namespace

std::vector<StoredCheckpoint> UsableCheckpoints(const BackfillSpec& spec, const FragmentInfo& fragment,
                                                const std::string& fragment_key, const CheckpointIndex& index,
                                                const FileHistory& history) {
  auto usable = index.Of(fragment.id, fragment_key, fragment.physical_rows);
  const FileHistory::Origin origin = history.OriginOf(fragment);
  if (origin.rewrite == nullptr || !origin.same_rows || !origin.rewrite->in_order || spec.only_rows) return usable;
  std::vector<RowRange> covered;
  for (const StoredCheckpoint& own : usable) covered.push_back(own.range);
  const std::vector<RowRange> missing = MissingRanges(fragment.id, fragment.physical_rows, covered);
  int64_t first = 0;
  for (const RewriteSource& source : origin.rewrite->from) {
    const int64_t live = source.live_rows();
    if (first < origin.first + fragment.physical_rows && first + live > origin.first) {
      for (const StoredCheckpoint& checkpoint : UsableOfSource(spec, source.fragment, index, history)) {
        auto carried = Carried(checkpoint, source, first, fragment, origin.first, fragment_key);
        for (const RowRange& gap : missing) {
          if (carried) AddWithin(*carried, gap, usable);
        }
      }
    }
    first += live;
  }
  std::sort(usable.begin(), usable.end(),
            [](const StoredCheckpoint& a, const StoredCheckpoint& b) { return a.range.start < b.range.start; });
  return usable;
}

bool OrderMatters(const BackfillSpec& spec, const Rewrite& rewrite, const CheckpointIndex& index,
                  const FileHistory& history) {
  bool nothing = false;
  bool filtered = false;
  bool all = false;
  bool usable = false;
  for (const RewriteSource& source : rewrite.from) {
    if (source.live_rows() == 0) continue;
    const FragmentDecision decision = DecideFragment(spec, source.fragment, history);
    int64_t needed = 0;
    for (const NeededRows& rows : RowsNeeded(source.fragment, decision)) {
      (rows.filter.empty() ? all : filtered) = true;
      needed += rows.end - rows.start;
    }
    nothing |= needed < source.fragment.physical_rows;
    usable = usable || !UsableOfSource(spec, source.fragment, index, history).empty();
  }
  // Rows without a value are found wherever they are.
  const bool by_null = !spec.where && !all;
  return usable || (!by_null && nothing + filtered + all > 1);
}

bool IsTakenWhole(const StoredCheckpoint& checkpoint) {
  const auto name = ParseCheckpointFileName(checkpoint.file_name);
  return name && checkpoint.taken.size() == 1 && checkpoint.taken[0] == name->range;
}

}  // namespace leman
