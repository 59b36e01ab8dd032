// The ports of table/ over SimTable.
#include <algorithm>

#include "sim/sim_table.h"
#include "table/testing/int64_array.h"

namespace leman::sim {

using leman::testing::MakeBoolArray;
using leman::testing::MakeInt64Array;
using leman::testing::MakeSchema;
using leman::testing::MakeStream;
using leman::testing::MakeStructArray;
using leman::testing::MakeStructSchema;

Result<std::vector<FragmentInfo>> TableView::Fragments() {
  LEMAN_RETURN_IF_ERROR(world_.Enter(process_, "read fragments"));
  std::vector<FragmentInfo> infos;
  for (const auto& [id, fragment] : table_.at(version_).fragments) infos.push_back(table_.InfoOf(id, fragment));
  return infos;
}

Result<std::map<int64_t, int64_t>> TableView::CountSelected(const std::string& filter,
                                                            const std::vector<int64_t>& fragment_ids) {
  LEMAN_RETURN_IF_ERROR(world_.Enter(process_, "count rows"));
  std::map<int64_t, int64_t> counts;
  for (const int64_t id : fragment_ids) {
    const SimFragment& fragment = table_.at(version_).fragments.at(id);
    const Int64s y = table_.OutputOf(fragment);
    for (size_t i = 0; i < fragment.rows.size(); ++i) {
      const int64_t address = (id << 32) + static_cast<int64_t>(i);
      counts[id] += table_.Selected(filter, fragment.rows[i], y[i], address) ? 1 : 0;
    }
  }
  return counts;
}

Result<TableHistory> TableView::HistoryOf(const std::vector<std::string>& names) {
  LEMAN_RETURN_IF_ERROR(world_.Enter(process_, "read history"));
  if (world_.Fault(world_.faults.store_error, "read fails")) return MakeError(ErrorKind::kRetryable, "simulated");
  TableHistory history;
  std::set<std::string> pending(names.begin(), names.end());
  for (int64_t version = version_; version > 0; --version) {
    const SimVersion& made = table_.at(version);
    if (made.update && pending.contains(made.update->name)) history.updates.push_back(*made.update);
    if (!made.rewrite) continue;
    const auto& to = made.rewrite->to;
    if (std::none_of(to.begin(), to.end(), [&](const auto& one) { return pending.contains(one.output_file); }))
      continue;
    history.rewrites.push_back(*made.rewrite);
    for (const RewriteSource& source : made.rewrite->from) pending.insert(source.fragment.output_file);
  }
  return history;
}

Result<bool> TableView::KeptOrder(const Rewrite& rewrite) {
  LEMAN_RETURN_IF_ERROR(world_.Enter(process_, "compare rewritten rows"));
  if (world_.Fault(world_.faults.store_error, "read fails")) return MakeError(ErrorKind::kRetryable, "simulated");
  // The version before may have been removed.
  if (world_.Fault(world_.faults.clean / 2, "a rewrite cannot be followed")) return false;
  if (world_.options.sabotage == Sabotage::kDoubtOrder) return false;
  return world_.options.sabotage == Sabotage::kTrustOrder || table_.KeptOrder(rewrite.version);
}

Result<std::vector<TableChange>> TableView::Changes(int64_t since_version, int64_t until_version) {
  LEMAN_RETURN_IF_ERROR(world_.Enter(process_, "read what changed"));
  std::vector<TableChange> changes;
  for (int64_t version = since_version + 1; version <= until_version; ++version) {
    const SimVersion& made = table_.at(version);
    const char* name = made.mark ? "DataReplacement" : made.rewrite ? "Rewrite" : made.update ? "Update" : "Append";
    changes.push_back({version, name, made.update.has_value()});
  }
  return changes;
}

Result<int64_t> TableView::MoveToLatest() {
  LEMAN_RETURN_IF_ERROR(world_.Enter(process_, "move to the latest version"));
  version_ = table_.latest();
  return version_;
}

Result<BatchStream> TableView::Open(const ReadRequest& request) {
  LEMAN_RETURN_IF_ERROR(world_.Enter(process_, "read rows"));
  if (world_.Fault(world_.faults.store_error, "scan fails")) return MakeError(ErrorKind::kRetryable, "simulated");
  std::vector<OwnedArray> batches;
  for (const RowRange& piece : request.pieces) {
    const SimFragment& fragment = table_.at(version_).fragments.at(piece.fragment_id);
    const Int64s y = table_.OutputOf(fragment);
    for (int64_t start = piece.start; start < piece.end; start += request.batch_rows) {
      const int64_t end = std::min(piece.end, start + request.batch_rows);
      Int64s x, present, live;
      std::vector<bool> selected;
      for (auto row = static_cast<size_t>(start); row < static_cast<size_t>(end); ++row) {
        x.emplace_back(fragment.rows[row].x);
        present.push_back(y[row]);
        const int64_t address = (piece.fragment_id << 32) + static_cast<int64_t>(row);
        selected.push_back(table_.Selected(request.filter, fragment.rows[row], y[row], address));
        live.push_back(fragment.rows[row].deleted ? std::nullopt : std::optional<int64_t>(row));
      }
      std::vector<OwnedArray> columns;
      columns.push_back(MakeInt64Array(x));
      if (!request.filter.empty()) {
        columns.push_back(MakeInt64Array(present));
        columns.push_back(MakeBoolArray(selected));
      }
      if (request.with_deleted_rows) columns.push_back(MakeInt64Array(live));
      batches.push_back(MakeStructArray(std::move(columns), end - start));
    }
  }
  std::vector<OwnedSchema> fields;
  fields.push_back(MakeSchema("l", "x"));
  if (!request.filter.empty()) {
    fields.push_back(MakeSchema("l", "y"));
    fields.push_back(MakeSchema("b", "selected"));
  }
  if (request.with_deleted_rows) fields.push_back(MakeSchema("l", "live"));
  return BatchStream{MakeStructSchema(std::move(fields)), MakeStream({}, std::move(batches))};
}

Result<int64_t> TableView::LatestVersion() {
  LEMAN_RETURN_IF_ERROR(world_.Enter(process_, "ask for the latest version"));
  return table_.latest();
}

Result<std::vector<FragmentInfo>> TableView::Inspect(int64_t version, const std::vector<int64_t>& fragment_ids) {
  LEMAN_RETURN_IF_ERROR(world_.Enter(process_, "inspect fragments"));
  if (world_.options.sabotage == Sabotage::kBlindCommit) version = version_;
  std::vector<FragmentInfo> infos;
  for (const int64_t id : fragment_ids) {
    const auto& fragments = table_.at(version).fragments;
    const auto found = fragments.find(id);
    if (found != fragments.end()) infos.push_back(table_.InfoOf(id, found->second));
  }
  return infos;
}

Result<int64_t> TableView::Commit(int64_t read_version, const std::vector<FragmentUpdate>& updates,
                                  const CommitMark& mark) {
  LEMAN_RETURN_IF_ERROR(world_.Enter(process_, "commit"));
  world_.Sleep(process_, world_.random.Between(1, 200) * kMs);
  if (process_.dead) return MakeError(ErrorKind::kUnknownOutcome, "this process is dead");
  if (world_.Fault(world_.faults.commit_conflict, "commit refused")) {
    return MakeError(ErrorKind::kConflict, "simulated");
  }
  if (world_.Fault(world_.faults.commit_unknown, "answer lost")) {
    const int64_t fate = world_.random.Below(3);
    if (fate == 0) (void)table_.Commit(read_version, updates, mark);
    if (fate == 1) {  // under way: it arrives after the question whether it has happened
      world_.loop.At(
          world_.loop.now_ns() + world_.random.Between(1, 3000) * kMs,
          [&table = table_, read_version, updates, mark] { (void)table.Commit(read_version, updates, mark); });
    }
    return MakeError(ErrorKind::kUnknownOutcome, "simulated: the answer was lost");
  }
  const Result<int64_t> version = table_.Commit(read_version, updates, mark);
  LEMAN_RETURN_IF_ERROR(world_.Leave(process_));
  return version;
}

Result<std::optional<int64_t>> TableView::FindMark(int64_t since_version, const CommitMark& mark) {
  LEMAN_RETURN_IF_ERROR(world_.Enter(process_, "look for the commit's mark"));
  if (world_.Fault(world_.faults.store_error, "asking fails")) return MakeError(ErrorKind::kRetryable, "simulated");
  for (int64_t version = since_version + 1; version <= table_.latest(); ++version) {
    const auto& made = table_.at(version).mark;
    if (made && made->job_id == mark.job_id && made->sequence == mark.sequence) return std::optional<int64_t>(version);
  }
  return std::optional<int64_t>();
}

Status TableView::MarkDone(const std::string& udf_version) {
  LEMAN_RETURN_IF_ERROR(world_.Enter(process_, "mark the column done"));
  if (world_.Fault(world_.faults.commit_conflict, "mark refused")) return MakeError(ErrorKind::kConflict, "simulated");
  if (world_.Fault(world_.faults.commit_unknown, "mark's answer lost")) {
    const int64_t fate = world_.random.Below(3);
    if (fate == 0) table_.done_version = udf_version;
    if (fate == 1) {
      world_.loop.At(world_.loop.now_ns() + world_.random.Between(1, 3000) * kMs,
                     [&table = table_, udf_version] { table.done_version = udf_version; });
    }
    return MakeError(ErrorKind::kUnknownOutcome, "simulated: the answer was lost");
  }
  table_.done_version = udf_version;
  return world_.Leave(process_);
}

}  // namespace leman::sim
