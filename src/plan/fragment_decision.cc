#include "plan/fragment_decision.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace leman {
namespace {

DoneScope ScopeAfterWhere(const BackfillSpec& spec, const FragmentInfo& fragment,
                          const std::optional<DoneRecord>& record) {
  if (fragment.output_file.empty()) return DoneScope::kPartial;
  if (record && record->computation == DoneComputation(spec, fragment)) return record->scope;
  if (!record && spec.done_version == spec.udf_version) return DoneScope::kPartial;
  return DoneScope::kMixed;
}

// Selects rows that hold no value: of several columns, in none.
std::string NullCondition(const BackfillSpec& spec) {
  if (spec.columns.empty()) return QuoteIdentifier(spec.column) + " IS NULL";
  std::string condition;
  for (const std::string& column : spec.columns) {
    condition += (condition.empty() ? "" : " AND ") + QuoteIdentifier(column) + " IS NULL";
  }
  return condition;
}

// So many parts a filter may tell apart: the table's SQL takes no text of any length.
constexpr size_t kMostParts = 64;

FragmentDecision Nothing() { return {FragmentDecision::Need::kNothing, "", DoneScope::kFull}; }

std::string FilterOf(const FragmentInfo& fragment, const std::vector<NeededRows>& parts) {
  std::string filter;
  for (const NeededRows& part : parts) {
    const int64_t first_address = fragment.id << 32;
    filter += (filter.empty() ? "(_rowaddr >= " : " OR (_rowaddr >= ") + std::to_string(first_address + part.start) +
              " AND _rowaddr < " + std::to_string(first_address + part.end);
    filter += part.filter.empty() ? ")" : " AND (" + part.filter + "))";
  }
  return filter;
}

void AddPart(std::vector<NeededRows>& parts, NeededRows part) {
  if (!parts.empty() && parts.back().end == part.start && parts.back().filter == part.filter) {
    parts.back().end = part.end;
  } else {
    parts.push_back(std::move(part));
  }
}

// What the rewritten rows need one by one, where they are known to be in order.
std::vector<NeededRows> PartsOf(const BackfillSpec& spec, const FragmentInfo& fragment,
                                const FileHistory::Origin& origin, const FileHistory& history) {
  std::vector<NeededRows> parts;
  int64_t first = 0;
  for (const RewriteSource& source : origin.rewrite->from) {
    const int64_t live = source.live_rows();
    if (first < origin.first + fragment.physical_rows && first + live > origin.first) {
      for (const NeededRows& rows : RowsNeeded(source.fragment, DecideFragment(spec, source.fragment, history))) {
        for (const RewrittenRange& range : FollowRows(source, first, rows.start, rows.end)) {
          const int64_t start = std::max<int64_t>(0, range.position - origin.first);
          const int64_t end = std::min(fragment.physical_rows, range.position + range.end - range.start - origin.first);
          if (start < end) AddPart(parts, {start, end, rows.filter});
        }
      }
    }
    first += live;
  }
  return parts;
}

// A rewritten fragment needs what the fragments needed whose rows it has.
FragmentDecision DecideRewritten(const BackfillSpec& spec, const FragmentInfo& fragment,
                                 const FileHistory::Origin& origin, const FileHistory& history) {
  using Need = FragmentDecision::Need;
  const DoneScope scope = spec.where ? ScopeAfterWhere(spec, fragment, std::nullopt) : DoneScope::kFull;
  if (origin.rewrite->in_order) {
    std::vector<NeededRows> parts = PartsOf(spec, fragment, origin, history);
    if (parts.empty()) return Nothing();
    if (parts.size() == 1 && parts[0].start == 0 && parts[0].end == fragment.physical_rows) {
      const Need need = parts[0].filter.empty() ? Need::kAll : Need::kFilter;
      return {need, parts[0].filter, parts[0].filter.empty() ? DoneScope::kFull : scope};
    }
    if (parts.size() <= kMostParts) return {Need::kFilter, FilterOf(fragment, parts), scope, std::move(parts)};
  }
  bool any = false;
  bool all_of_some = false;
  for (const RewriteSource& source : origin.rewrite->from) {
    for (const NeededRows& rows : RowsNeeded(source.fragment, DecideFragment(spec, source.fragment, history))) {
      any = true;
      all_of_some |= rows.filter.empty();
    }
  }
  if (!any) return Nothing();
  if (spec.where) return {Need::kFilter, *spec.where, scope};
  if (all_of_some) return {Need::kAll, "", DoneScope::kFull};
  return {Need::kFilter, NullCondition(spec), DoneScope::kFull};
}

}  // namespace

std::string QuoteIdentifier(const std::string& name) {
  std::string quoted = "`";
  for (const char c : name) {
    quoted += c;
    if (c == '`') quoted += c;
  }
  return quoted + "`";
}

bool NeedsHistory(const BackfillSpec& spec, const FragmentInfo& fragment) {
  return !spec.where && !spec.only_rows && spec.done_version == spec.udf_version && !fragment.output_file.empty() &&
         fragment.physical_rows > fragment.deleted_rows && !ParseDoneFileName(fragment.output_file);
}

FragmentDecision DecideFragment(const BackfillSpec& spec, const FragmentInfo& fragment, const FileHistory& history) {
  using Need = FragmentDecision::Need;
  if (fragment.physical_rows == fragment.deleted_rows) return {Need::kNothing, "", DoneScope::kFull};
  const auto record = ParseDoneFileName(fragment.output_file);
  const bool current = record && record->computation == DoneComputation(spec, fragment);
  if (spec.only_rows) {
    if (spec.only_rows->count(fragment.id) == 0) return {Need::kNothing, "", DoneScope::kFull};
    return {Need::kFilter, NullCondition(spec), ScopeAfterWhere(spec, fragment, record)};
  }
  const FileHistory::Origin origin = record ? FileHistory::Origin{} : history.OriginOf(fragment);
  if (origin.rewrite != nullptr && origin.same_rows) return DecideRewritten(spec, fragment, origin, history);
  if (spec.where) {
    const bool done = current && !spec.where_reads_output && record->where == DoneWhere(spec, fragment);
    if (done) return {Need::kNothing, "", record->scope};
    return {Need::kFilter, *spec.where, ScopeAfterWhere(spec, fragment, record)};
  }
  if (current && record->scope == DoneScope::kFull) return {Need::kNothing, "", DoneScope::kFull};
  const bool rest_is_null = current && record->scope == DoneScope::kPartial;
  // Values of a rewrite whose inputs were replaced since are of other inputs.
  const bool outdated = origin.rewrite != nullptr || history.outdated(fragment.output_file);
  const bool unrecorded = NeedsHistory(spec, fragment) && !outdated;
  if (rest_is_null || unrecorded) {
    return {Need::kFilter, NullCondition(spec), DoneScope::kFull};
  }
  return {Need::kAll, "", DoneScope::kFull};
}

std::vector<NeededRows> RowsNeeded(const FragmentInfo& fragment, const FragmentDecision& decision) {
  if (decision.need == FragmentDecision::Need::kNothing) return {};
  if (!decision.parts.empty()) return decision.parts;
  return {{0, fragment.physical_rows, decision.filter}};
}

}  // namespace leman
