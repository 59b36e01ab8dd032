#include "job/job_plan.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "plan/carried_checkpoints.h"

namespace leman {
namespace {

using Need = FragmentDecision::Need;

// How many rows each fragment's filter selects, where one is needed; one look at the table for all with the same.
Result<std::map<int64_t, int64_t>> CountSelected(const BackfillSpec& spec, const std::vector<FragmentInfo>& fragments,
                                                 const FileHistory& history, TableSnapshot& snapshot) {
  std::map<int64_t, int64_t> counts;
  if (spec.only_rows) {
    for (const auto& [id, rows] : *spec.only_rows) counts[id] = static_cast<int64_t>(rows.size());
    return counts;
  }
  std::map<std::string, std::vector<int64_t>> by_filter;
  for (const FragmentInfo& fragment : SelectFragments(spec, fragments)) {
    const FragmentDecision decision = DecideFragment(spec, fragment, history);
    if (decision.need == Need::kFilter) by_filter[decision.filter].push_back(fragment.id);
  }
  for (const auto& [filter, ids] : by_filter) {
    LEMAN_ASSIGN_OR_RETURN(auto some, snapshot.CountSelected(filter, ids));
    counts.merge(some);
  }
  return counts;
}

// Files of the output column about which only the table's history tells. It is not asked where nothing was computed.
std::vector<std::string> FilesToAskFor(const BackfillSpec& spec, const std::vector<FragmentInfo>& fragments,
                                       const CheckpointIndex& index) {
  if (spec.only_rows) return {};
  bool begun = spec.done_version == spec.udf_version || !index.empty();
  std::vector<std::string> names;
  for (const FragmentInfo& fragment : fragments) {
    const auto record = ParseDoneFileName(fragment.output_file);
    begun = begun || (record && record->computation == DoneComputation(spec, fragment));
    const bool live = fragment.physical_rows > fragment.deleted_rows;
    if (live && !record && !fragment.output_file.empty()) names.push_back(fragment.output_file);
  }
  return begun ? names : std::vector<std::string>{};
}

Result<FileHistory> HistoryFor(const BackfillSpec& spec, const std::vector<FragmentInfo>& fragments,
                               const CheckpointIndex& index, TableSnapshot& snapshot) {
  const std::vector<std::string> names = FilesToAskFor(spec, fragments, index);
  if (names.empty()) return FileHistory();
  LEMAN_ASSIGN_OR_RETURN(const TableHistory told, snapshot.HistoryOf(names));
  FileHistory history(spec, told);
  // Older ones first: what a later one had depends on what they gave.
  for (Rewrite& rewrite : history.rewrites()) {
    if (!OrderMatters(spec, rewrite, index, history)) continue;
    LEMAN_ASSIGN_OR_RETURN(rewrite.in_order, snapshot.KeptOrder(rewrite));
  }
  return history;
}

}  // namespace

Result<Plan> PlanOn(const BackfillSpec& spec, TableSnapshot& snapshot, CheckpointStore& checkpoints, bool carry) {
  LEMAN_ASSIGN_OR_RETURN(const std::vector<FragmentInfo> fragments, snapshot.Fragments());
  LEMAN_ASSIGN_OR_RETURN(std::vector<StoredCheckpoint> stored, checkpoints.List());
  if (!carry) {
    std::set<int64_t> ids;
    for (const FragmentInfo& fragment : fragments) ids.insert(fragment.id);
    std::erase_if(stored, [&ids](const StoredCheckpoint& one) { return !ids.contains(one.range.fragment_id); });
  }
  const CheckpointIndex index(std::move(stored));
  LEMAN_ASSIGN_OR_RETURN(const FileHistory history, HistoryFor(spec, fragments, index, snapshot));
  LEMAN_ASSIGN_OR_RETURN(const auto selected, CountSelected(spec, fragments, history, snapshot));
  return MakePlan(spec, fragments, selected, index, history);
}

}  // namespace leman
