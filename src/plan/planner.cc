#include "plan/planner.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "plan/carried_checkpoints.h"
#include "plan/task_size.h"

namespace leman {
namespace {

// Whole fragments are put together into one task up to this many rows: opening a scan costs as much as reading
// thousands of small rows.
constexpr int64_t kBundleRows = 10240;

std::vector<RowRange> RangesOf(const std::vector<StoredCheckpoint>& checkpoints) {
  std::vector<RowRange> ranges;
  ranges.reserve(checkpoints.size());
  for (const StoredCheckpoint& checkpoint : checkpoints) ranges.push_back(checkpoint.range);
  return ranges;
}

// Cuts a range into equal parts of at most `task_rows`.
void Cut(const RowRange& range, int64_t task_rows, std::deque<std::vector<RowRange>>& out) {
  const int64_t parts = (range.rows() + task_rows - 1) / task_rows;
  for (int64_t i = 0; i < parts; ++i) {
    out.push_back({RowRange{range.fragment_id, range.start + range.rows() * i / parts,
                            range.start + range.rows() * (i + 1) / parts}});
  }
}

// The tasks of each fragment, small whole fragments bundled with their neighbours.
std::vector<std::deque<std::vector<RowRange>>> TasksByFragment(const std::vector<FragmentPlan>& fragments,
                                                               int64_t task_rows) {
  const int64_t bundle_rows = std::min(kBundleRows, task_rows);
  std::vector<std::deque<std::vector<RowRange>>> groups;
  std::vector<RowRange> bundle;
  int64_t rows_in_bundle = 0;
  const auto flush = [&] {
    if (!bundle.empty()) groups.push_back({std::exchange(bundle, {})});
    rows_in_bundle = 0;
  };
  for (const FragmentPlan& plan : fragments) {
    const int64_t rows = plan.fragment.physical_rows;
    const auto missing = MissingRanges(plan.fragment.id, rows, RangesOf(plan.checkpoints));
    if (missing.empty()) continue;
    const bool whole = missing.size() == 1 && missing[0].rows() == rows && plan.selection == Selection::kAll;
    if (whole && rows < bundle_rows) {
      if (rows_in_bundle + rows > bundle_rows) flush();
      bundle.push_back(missing[0]);
      rows_in_bundle += rows;
      continue;
    }
    std::deque<std::vector<RowRange>> tasks;
    for (const RowRange& range : missing) Cut(range, task_rows, tasks);
    groups.push_back(std::move(tasks));
  }
  flush();
  return groups;
}

// S15: the tasks of `diversity` fragments at a time, one of each in turn.
std::vector<Task> Interleave(std::vector<std::deque<std::vector<RowRange>>> groups, int64_t diversity) {
  std::vector<Task> tasks;
  std::vector<size_t> open;
  size_t next_group = 0;
  while (true) {
    while (static_cast<int64_t>(open.size()) < diversity && next_group < groups.size()) open.push_back(next_group++);
    if (open.empty()) return tasks;
    for (auto it = open.begin(); it != open.end();) {
      auto& group = groups[*it];
      tasks.push_back(Task{static_cast<TaskId>(tasks.size()), 1, std::move(group.front())});
      group.pop_front();
      it = group.empty() ? open.erase(it) : std::next(it);
    }
  }
}

// Part of the fragment key: another list of rows is another checkpoint.
std::string KeyOfRows(const std::vector<int64_t>& rows) {
  std::string text = "rows";
  for (const int64_t row : rows) text += " " + std::to_string(row);
  return text;
}

}  // namespace

bool FragmentPlan::complete() const {
  return MissingRanges(fragment.id, fragment.physical_rows, RangesOf(checkpoints)).empty();
}

std::vector<FragmentInfo> SelectFragments(const BackfillSpec& spec, const std::vector<FragmentInfo>& fragments) {
  const auto count = static_cast<int64_t>(fragments.size());
  const int64_t first = std::min(spec.skip_frags, count);
  const int64_t last = spec.num_frags ? std::min(count, first + *spec.num_frags) : count;
  return {fragments.begin() + first, fragments.begin() + last};
}

Plan MakePlan(const BackfillSpec& spec, const std::vector<FragmentInfo>& fragments,
              const std::map<int64_t, int64_t>& selected, const CheckpointIndex& checkpoints,
              const FileHistory& history) {
  Plan plan;
  const auto chosen = SelectFragments(spec, fragments);
  plan.fragments_outside = static_cast<int64_t>(fragments.size() - chosen.size());
  int64_t rows_to_compute = 0;
  for (const FragmentInfo& fragment : chosen) {
    const FragmentDecision decision = DecideFragment(spec, fragment, history);
    FragmentPlan item{.fragment = fragment, .filter = decision.filter};
    item.rows_selected = fragment.physical_rows - fragment.deleted_rows;
    if (decision.need == FragmentDecision::Need::kFilter) {
      item.selection = Selection::kFilter;
      const auto found = selected.find(fragment.id);
      item.rows_selected = found == selected.end() ? 0 : found->second;
    }
    if (decision.need == FragmentDecision::Need::kNothing || item.rows_selected == 0) {
      ++plan.fragments_done;
      continue;
    }
    if (spec.only_rows) item.only_rows = spec.only_rows->at(fragment.id);
    const std::string rows_key = item.only_rows.empty() ? "" : KeyOfRows(item.only_rows);
    item.fragment_key = FragmentKey(fragment, item.selection, item.filter + rows_key);
    item.record = {decision.scope_after, DoneComputation(spec, fragment), DoneWhere(spec, fragment)};
    item.checkpoints = UsableCheckpoints(spec, fragment, item.fragment_key, checkpoints, history);
    int64_t found_rows = 0;
    for (const StoredCheckpoint& checkpoint : item.checkpoints) found_rows += checkpoint.range.rows();
    plan.rows_total += item.rows_selected;
    plan.rows_resumed += item.rows_selected * found_rows / std::max<int64_t>(1, fragment.physical_rows);
    rows_to_compute += fragment.physical_rows - found_rows;
    plan.fragments.push_back(std::move(item));
  }
  plan.task_rows = TaskRows(spec, rows_to_compute);
  plan.tasks = Interleave(TasksByFragment(plan.fragments, plan.task_rows), spec.task_shuffle_diversity);
  const auto per_worker = static_cast<int64_t>(spec.intra_applier_concurrency);
  const int64_t useful = (static_cast<int64_t>(plan.tasks.size()) + per_worker - 1) / per_worker;
  plan.workers = static_cast<int32_t>(std::min<int64_t>(spec.concurrency, useful));
  return plan;
}

}  // namespace leman
