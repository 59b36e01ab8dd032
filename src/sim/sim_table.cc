#include "sim/sim_table.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <utility>

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
  switch (next.fragments.empty() ? 0 : world_.random.Below(6)) {
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
    case 4:
      MoveRows(next);
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
  std::vector<int64_t> chosen;
  for (const auto& [id, fragment] : next.fragments) {
    if (chosen.size() < 3 && world_.random.Chance(0.6)) chosen.push_back(id);
  }
  if (chosen.empty()) return;
  Rewrite rewrite;
  rewrite.version = latest() + 1;
  SimFragment all = CompactRows(next, chosen, rewrite);
  for (const int64_t id : chosen) {
    next.fragments.erase(id);
    next.conflicts.insert(id);
  }
  world_.Trace("other writer: compacts " + std::to_string(chosen.size()) + " fragment(s) from " +
               std::to_string(chosen[0]) + " into " + std::to_string(next_fragment_));
  const Int64s values = OutputOf(all);
  world_.objects.erase("data/" + all.output_file);
  if (all.rows.empty()) return;
  // One fragment, or two.
  const auto rows = static_cast<int64_t>(all.rows.size());
  const int64_t middle = rows > 1 && world_.random.Chance(0.3) ? world_.random.Between(1, rows - 1) : rows;
  for (const auto& [start, end] : {std::pair(int64_t{0}, middle), std::pair(middle, rows)}) {
    if (start == end) continue;
    SimFragment made;
    made.rows.assign(all.rows.begin() + start, all.rows.begin() + end);
    made.input_file = "in" + std::to_string(next_file_++) + ".lance";
    made.output_file = "compacted-" + std::to_string(next_file_++) + ".lance";
    world_.objects["data/" + made.output_file] = {EncodeValues(Int64s(values.begin() + start, values.begin() + end)),
                                                  world_.now_us()};
    rewrite.to.push_back(InfoOf(next_fragment_, made));
    next.fragments[next_fragment_++] = std::move(made);
  }
  next.rewrite = std::move(rewrite);
}

// The live rows of the fragments with their values, in a fragment that is none yet; rarely in another order.
SimFragment SimTable::CompactRows(const SimVersion& next, const std::vector<int64_t>& chosen, Rewrite& rewrite) {
  std::vector<std::pair<SimRow, std::optional<int64_t>>> live;
  for (const int64_t id : chosen) {
    const SimFragment& from = next.fragments.at(id);
    const Int64s values = OutputOf(from);
    RewriteSource source{InfoOf(id, from), {}};
    for (size_t i = 0; i < from.rows.size(); ++i) {
      if (from.rows[i].deleted) {
        source.dropped.push_back(static_cast<int64_t>(i));
      } else {
        live.emplace_back(from.rows[i], values[i]);
      }
    }
    rewrite.from.push_back(std::move(source));
  }
  if (live.size() > 1 && world_.random.Chance(0.1)) {
    std::rotate(live.begin(), live.begin() + world_.random.Between(1, static_cast<int64_t>(live.size()) - 1),
                live.end());
  }
  SimFragment all;
  Int64s values;
  for (auto& [row, value] : live) {
    all.rows.push_back(row);
    values.push_back(value);
  }
  all.output_file = "compacting.lance";
  world_.objects["data/" + all.output_file] = {EncodeValues(values), world_.now_us()};
  return all;
}

bool SimTable::KeptOrder(int64_t version) const {
  const Rewrite& rewrite = *at(version).rewrite;
  std::vector<int64_t> before;
  std::vector<int64_t> after;
  for (const RewriteSource& source : rewrite.from) {
    for (const SimRow& row : at(version - 1).fragments.at(source.fragment.id).rows) {
      if (!row.deleted) before.push_back(row.id);
    }
  }
  for (const FragmentInfo& made : rewrite.to) {
    for (const SimRow& row : at(version).fragments.at(made.id).rows) after.push_back(row.id);
  }
  return before == after;
}

void SimTable::Update(SimVersion& next) {
  auto at = next.fragments.begin();
  std::advance(at, world_.random.Below(static_cast<int64_t>(next.fragments.size())));
  SimFragment& fragment = at->second;
  // Without a done-record nobody can tell that the values are out of date, but after a compaction: docs/reliability.md.
  const bool told = ParseDoneFileName(fragment.output_file) || fragment.output_file.starts_with("compacted-");
  if (!fragment.output_file.empty() && !told) return;
  for (SimRow& row : fragment.rows) row.x += 2200;  // stays odd or even, and so selected or not
  fragment.input_file = "in" + std::to_string(next_file_++) + ".lance";
  // A replaced input column is no conflict to Lance; an update in place is.
  const bool seen = world_.random.Chance(0.5);
  if (seen) next.conflicts.insert(at->first);
  world_.Trace("other writer: rewrites x of fragment " + std::to_string(at->first) + (seen ? "" : " unseen"));
}

// As Lance updates rows: they are deleted where they were, and written to a new fragment with all their columns.
void SimTable::MoveRows(SimVersion& next) {
  auto at = next.fragments.begin();
  std::advance(at, world_.random.Below(static_cast<int64_t>(next.fragments.size())));
  SimFragment& fragment = at->second;
  const Int64s values = OutputOf(fragment);
  const bool sets_x = world_.random.Chance(0.6);
  SimFragment moved;
  Int64s y;
  for (size_t i = 0; i < fragment.rows.size(); ++i) {
    if (fragment.rows[i].deleted || !world_.random.Chance(0.4)) continue;
    moved.rows.push_back(fragment.rows[i]);
    moved.rows.back().x += sets_x ? 2200 : 0;
    y.push_back(values[i]);
    fragment.rows[i].deleted = true;
  }
  if (moved.rows.empty()) return;
  moved.input_file = "in" + std::to_string(next_file_++) + ".lance";
  moved.output_file = "updated-" + std::to_string(next_file_++) + ".lance";
  world_.objects["data/" + moved.output_file] = {EncodeValues(y), world_.now_us()};
  next.update = FileOfUpdate{moved.output_file, sets_x, false, {InfoOf(at->first, fragment)}};
  next.conflicts.insert(at->first);
  world_.Trace("other writer: moves " + std::to_string(y.size()) + " row(s) of fragment " + std::to_string(at->first) +
               (sets_x ? " with new x" : "") + " to " + std::to_string(next_fragment_));
  next.fragments[next_fragment_++] = std::move(moved);
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

bool SimTable::Selected(const std::string& filter, const SimRow& row, const std::optional<int64_t>& y,
                        int64_t address) const {
  if (row.deleted) return false;
  if (filter.empty()) return true;
  if (!filter.starts_with("(_rowaddr")) return filter == kWhere ? row.x % 2 != 0 : !y.has_value();
  // What the planner writes of parts: "(_rowaddr >= A AND _rowaddr < B AND (…)) OR (_rowaddr …".
  for (size_t at = 0; at != std::string::npos;) {
    const size_t next = filter.find(" OR (_rowaddr", at);
    const std::string part = filter.substr(at, next == std::string::npos ? next : next - at);
    at = next == std::string::npos ? next : next + 4;
    int64_t start = 0;
    int64_t end = 0;
    int length = 0;
    constexpr const char* kForm = "(_rowaddr >= %" SCNd64 " AND _rowaddr < %" SCNd64 "%n";
    if (std::sscanf(part.c_str(), kForm, &start, &end, &length) != 2) world_.Violate("unexpected filter " + filter);
    if (address < start || address >= end) continue;
    std::string rest = part.substr(static_cast<size_t>(length));
    if (rest == ")") return true;
    rest = rest.substr(6, rest.size() - 8);  // " AND (…))"
    return Selected(rest, row, y, address);
  }
  return false;
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
