#include "plan/file_history.h"

#include <algorithm>

#include "model/checkpoint_key.h"

namespace leman {

bool IsOutdated(const BackfillSpec& spec, const FileOfUpdate& file) {
  if (file.sets_output) return false;
  const auto may_be_outdated = [&spec](const FragmentInfo& source) {
    const auto record = ParseDoneFileName(source.output_file);
    if (!record) return !source.output_file.empty();
    return record->computation != DoneComputation(spec, source) || record->scope == DoneScope::kMixed;
  };
  return file.sets_inputs || !file.sources_known ||
         std::any_of(file.came_from.begin(), file.came_from.end(), may_be_outdated);
}

std::vector<RewrittenRange> FollowRows(const RewriteSource& source, int64_t first, int64_t start, int64_t end) {
  std::vector<RewrittenRange> ranges;
  auto dropped = std::lower_bound(source.dropped.begin(), source.dropped.end(), start);
  const int64_t dropped_before = dropped - source.dropped.begin();
  int64_t position = first + start - dropped_before;
  for (int64_t row = start; row < end;) {
    const int64_t stop = dropped == source.dropped.end() ? end : std::min(end, *dropped);
    if (stop > row) ranges.push_back({row, stop, position});
    position += stop - row;
    row = stop;
    if (dropped != source.dropped.end() && row == *dropped) {
      ++row;
      ++dropped;
    }
  }
  return ranges;
}

FileHistory::FileHistory(const BackfillSpec& spec, const TableHistory& told) : rewrites_(told.rewrites) {
  for (const FileOfUpdate& file : told.updates) {
    if (IsOutdated(spec, file)) outdated_.insert(file.name);
  }
  std::stable_sort(rewrites_.begin(), rewrites_.end(),
                   [](const Rewrite& a, const Rewrite& b) { return a.version < b.version; });
  for (size_t i = 0; i < rewrites_.size(); ++i) {
    for (size_t k = 0; k < rewrites_[i].to.size(); ++k) made_by_[rewrites_[i].to[k].output_file] = {i, k};
  }
}

FileHistory::Origin FileHistory::OriginOf(const FragmentInfo& fragment) const {
  const auto found = made_by_.find(fragment.output_file);
  if (found == made_by_.end() || fragment.output_file.empty()) return {};
  Origin origin;
  origin.rewrite = &rewrites_[found->second.first];
  for (size_t i = 0; i < found->second.second; ++i) origin.first += origin.rewrite->to[i].physical_rows;
  const FragmentInfo& made = origin.rewrite->to[found->second.second];
  origin.same_rows = made.physical_rows == fragment.physical_rows && made.input_identity == fragment.input_identity &&
                     made.where_identity == fragment.where_identity;
  return origin;
}

}  // namespace leman
