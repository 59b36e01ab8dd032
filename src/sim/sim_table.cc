#include "sim/sim_table.h"

#include <algorithm>

#include "model/checkpoint_key.h"

namespace leman::sim {

std::optional<int64_t> TheFunction(int64_t x) { return x % 11 == 0 ? std::nullopt : std::optional<int64_t>(3 * x + 7); }

SimRow SimTable::NewRow() {
  const int64_t id = next_row_++;
  return {id, 100 + id, false};
}

void SimTable::Create(int64_t fragments, int64_t max_rows, bool filled) {
  SimVersion first;
  for (int64_t i = 0; i < fragments; ++i) {
    SimFragment fragment;
    const int64_t rows = world_.random.Between(1, max_rows);
    for (int64_t row = 0; row < rows; ++row) fragment.rows.push_back(NewRow());
    fragment.input_file = "in" + std::to_string(next_file_++) + ".lance";
    if (filled) {
      Int64s y;
      for (const SimRow& row : fragment.rows) before_[row.id] = y.emplace_back(-row.x);
      fragment.output_file = "other-tool-" + std::to_string(next_file_++) + ".lance";
      world_.objects["data/" + fragment.output_file] = {EncodeValues(y), world_.now_us()};
    }
    first.fragments[next_fragment_++] = std::move(fragment);
  }
  versions_.push_back(std::move(first));
}

void SimTable::Disturb() {
  SimVersion next{versions_.back().fragments, std::nullopt, {}};
  ++world_.tally.changes;
  ++world_.incidents;
  switch (next.fragments.empty() ? 0 : world_.random.Below(5)) {
    case 0:
      Append(next);
      break;
    case 1:
      DeleteRow(next);
      break;
    case 2:
      Compact(next);
      break;
    case 3:
      Update(next);
      break;
    default:
      world_.Trace("other writer: another column");
  }
  versions_.push_back(std::move(next));
}

void SimTable::Append(SimVersion& next) {
  SimFragment fragment;
  const int64_t rows = world_.random.Between(1, 6);
  for (int64_t row = 0; row < rows; ++row) fragment.rows.push_back(NewRow());
  fragment.input_file = "in" + std::to_string(next_file_++) + ".lance";
  world_.Trace("other writer: appends fragment " + std::to_string(next_fragment_));
  next.fragments[next_fragment_++] = std::move(fragment);
}

void SimTable::DeleteRow(SimVersion& next) {
  auto at = next.fragments.begin();
  std::advance(at, world_.random.Below(static_cast<int64_t>(next.fragments.size())));
  SimFragment& fragment = at->second;
  const int64_t row = world_.random.Below(static_cast<int64_t>(fragment.rows.size()));
  if (fragment.rows.empty()) return;
  world_.Trace("other writer: deletes row " + std::to_string(row) + " of fragment " + std::to_string(at->first));
  fragment.rows[static_cast<size_t>(row)].deleted = true;
}

void SimTable::Compact(SimVersion& next) {
  // A fragment whose values are out of date loses with its done-record the only sign of it: docs/reliability.md.
  std::vector<int64_t> chosen;
  for (const auto& [id, fragment] : next.fragments) {
    if (!fragment.stale && chosen.size() < 2 && world_.random.Chance(0.7)) chosen.push_back(id);
  }
  if (chosen.empty()) return;
  SimFragment compacted;
  Int64s y;
  bool any = false;
  for (const int64_t id : chosen) {
    const SimFragment& from = next.fragments.at(id);
    const Int64s values = OutputOf(from);
    any = any || !from.output_file.empty();
    for (size_t i = 0; i < from.rows.size(); ++i) {
      if (from.rows[i].deleted) continue;
      compacted.rows.push_back(from.rows[i]);
      y.push_back(values[i]);
    }
    next.fragments.erase(id);
    next.conflicts.insert(id);
  }
  world_.Trace("other writer: compacts " + std::to_string(chosen.size()) + " fragment(s) from " +
               std::to_string(chosen[0]) + " into " + std::to_string(next_fragment_));
  if (compacted.rows.empty()) return;
  compacted.input_file = "in" + std::to_string(next_file_++) + ".lance";
  if (any) {
    compacted.output_file = "compacted-" + std::to_string(next_file_++) + ".lance";
    world_.objects["data/" + compacted.output_file] = {EncodeValues(y), world_.now_us()};
  }
  next.fragments[next_fragment_++] = std::move(compacted);
}

void SimTable::Update(SimVersion& next) {
  auto at = next.fragments.begin();
  std::advance(at, world_.random.Below(static_cast<int64_t>(next.fragments.size())));
  SimFragment& fragment = at->second;
  // Without a done-record nobody can tell that the values are out of date: docs/reliability.md.
  if (!fragment.output_file.empty() && !ParseDoneFileName(fragment.output_file)) return;
  for (SimRow& row : fragment.rows) row.x += 2200;  // stays odd or even, and so selected or not
  fragment.input_file = "in" + std::to_string(next_file_++) + ".lance";
  fragment.stale = fragment.stale || !fragment.output_file.empty();
  // A replaced input column is no conflict to Lance; an update in place is.
  const bool seen = world_.random.Chance(0.5);
  if (seen) next.conflicts.insert(at->first);
  world_.Trace("other writer: rewrites x of fragment " + std::to_string(at->first) + (seen ? "" : " unseen"));
}

FragmentInfo SimTable::InfoOf(int64_t id, const SimFragment& fragment) const {
  const auto deleted =
      std::count_if(fragment.rows.begin(), fragment.rows.end(), [](const SimRow& row) { return row.deleted; });
  FragmentInfo info;
  info.id = id;
  info.physical_rows = static_cast<int64_t>(fragment.rows.size());
  info.deleted_rows = deleted;
  info.input_identity = fragment.input_file;
  info.where_identity = filtered_ ? fragment.input_file : "";
  info.output_file = fragment.output_file;
  return info;
}

Int64s SimTable::OutputOf(const SimFragment& fragment) {
  if (fragment.output_file.empty()) return Int64s(fragment.rows.size());
  const auto found = world_.objects.find("data/" + fragment.output_file);
  if (found == world_.objects.end()) {
    world_.Violate("a version refers to data/" + fragment.output_file + ", which is gone");
    return Int64s(fragment.rows.size());
  }
  auto values = DecodeValues(fragment.output_file, found->second.bytes);
  if (!values.ok() || values->size() != fragment.rows.size()) {
    world_.Violate("a version refers to data/" + fragment.output_file + ", which does not fit its fragment");
    return Int64s(fragment.rows.size());
  }
  return std::move(values).value();
}

bool SimTable::Selected(const std::string& filter, const SimRow& row, const std::optional<int64_t>& y) const {
  if (row.deleted) return false;
  if (filter.empty()) return true;
  return filter == kWhere ? row.x % 2 != 0 : !y.has_value();
}

Result<int64_t> SimTable::Commit(int64_t read_version, const std::vector<FragmentUpdate>& updates,
                                 const CommitMark& mark) {
  const bool blind = world_.options.sabotage == Sabotage::kBlindCommit;
  SimVersion next{versions_.back().fragments, mark, {}};
  for (const FragmentUpdate& update : updates) {
    for (int64_t version = read_version + 1; version <= latest() && !blind; ++version) {
      if (at(version).conflicts.contains(update.fragment_id)) return MakeError(ErrorKind::kConflict, "simulated");
    }
    const auto found = next.fragments.find(update.fragment_id);
    const auto& read = at(read_version).fragments;
    if (found == next.fragments.end()) return MakeError(ErrorKind::kConflict, "the fragment is gone");
    CheckUpdate(update, found->second, read.contains(update.fragment_id) ? read.at(update.fragment_id) : found->second);
    found->second.output_file = update.file_name;
    const auto record = ParseDoneFileName(update.file_name);
    if (!record) world_.Violate("a data file without a done-record was committed: " + update.file_name);
    found->second.stale = found->second.input_file != read.at(update.fragment_id).input_file;
    next.conflicts.insert(update.fragment_id);
  }
  versions_.push_back(std::move(next));
  ++world_.tally.commits;
  world_.Trace("version " + std::to_string(latest()) + " by " + mark.job_id + ", " + std::to_string(updates.size()) +
               " fragment(s) from " + std::to_string(updates.empty() ? -1 : updates[0].fragment_id));
  return latest();
}

// What a reader of the new version sees of the fragment: all of it from this job, and nothing else changed.
void SimTable::CheckUpdate(const FragmentUpdate& update, const SimFragment& now, const SimFragment& read) {
  const std::string name = "fragment " + std::to_string(update.fragment_id);
  SimFragment offered = now;
  offered.output_file = update.file_name;
  const Int64s values = OutputOf(offered);
  const Int64s old = OutputOf(now);
  for (size_t i = 0; i < now.rows.size() && i < values.size(); ++i) {
    const SimRow& row = now.rows[i];
    if (row.deleted || values[i] == TheFunction(row.x)) {
      if (row.deleted || !filtered_ || row.x % 2 != 0 || values[i] == old[i]) continue;
    }
    // Lance takes a commit whose input column was replaced after it was looked at; the next job sees it by the record.
    const bool unseen = read.input_file != now.input_file && i < read.rows.size();
    if (unseen && values[i] == TheFunction(read.rows[i].x)) continue;
    const bool kept = values[i] == old[i] && (filtered_ ? row.x % 2 == 0 : old[i].has_value() && done_version);
    if (kept) continue;
    world_.Violate(name + " row " + std::to_string(i) + " (x = " + std::to_string(row.x) + ") was committed as " +
                   (values[i] ? std::to_string(*values[i]) : "null"));
    return;
  }
}

void SimTable::CheckEveryRow() {
  for (const auto& [id, fragment] : versions_.back().fragments) {
    const Int64s values = OutputOf(fragment);
    for (size_t i = 0; i < fragment.rows.size(); ++i) {
      const SimRow& row = fragment.rows[i];
      if (row.deleted) continue;
      const bool selected = !filtered_ || row.x % 2 != 0;
      const auto found = before_.find(row.id);
      const std::optional<int64_t> unselected = found == before_.end() ? std::nullopt : found->second;
      if (values[i] == (selected ? TheFunction(row.x) : unselected)) continue;
      world_.Violate("at the end, row " + std::to_string(i) + " of fragment " + std::to_string(id) +
                     " (x = " + std::to_string(row.x) + ") has " + (values[i] ? std::to_string(*values[i]) : "null"));
      return;
    }
  }
}

void SimTable::CheckEveryVersion() {
  for (const SimVersion& version : versions_) {
    for (const auto& [id, fragment] : version.fragments) OutputOf(fragment);
  }
}

std::set<std::string> SimTable::ReferredFiles() const {
  std::set<std::string> files;
  for (const SimVersion& version : versions_) {
    for (const auto& [id, fragment] : version.fragments) {
      if (!fragment.output_file.empty()) files.insert(fragment.output_file);
    }
  }
  return files;
}

int64_t SimTable::rows_wanted() const {
  int64_t rows = 0;
  for (const auto& [id, fragment] : versions_.back().fragments) {
    for (const SimRow& row : fragment.rows) rows += !row.deleted && (!filtered_ || row.x % 2 != 0) ? 1 : 0;
  }
  return rows;
}

}  // namespace leman::sim
