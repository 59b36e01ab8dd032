// A table with versions, deletes, compaction and commits that conflict as Lance's do.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "model/fragment_info.h"
#include "model/fragment_update.h"
#include "model/table_history.h"
#include "sim/sim_world.h"
#include "table/batch_reader.h"
#include "table/table_snapshot.h"
#include "table/table_transaction.h"

namespace leman::sim {

/// What the function of every simulated job gives for `x`: null for one value in eleven.
std::optional<int64_t> TheFunction(int64_t x);
constexpr const char* kWhere = "x is odd";

struct SimRow {
  int64_t id = 0;
  int64_t x = 0;
  bool deleted = false;
};

struct SimFragment {
  std::vector<SimRow> rows;
  std::string input_file;
  std::string output_file;
};

struct SimVersion {
  std::map<int64_t, SimFragment> fragments;
  std::optional<CommitMark> mark;
  std::set<int64_t> conflicts;  ///< Fragments that this version changed in a way that a commit on an older one sees.
  std::optional<Rewrite> rewrite = {};      ///< What it compacted.
  std::optional<FileOfUpdate> update = {};  ///< What it moved, with new values.
};

class SimTable {
 public:
  SimTable(World& world, bool filtered) : world_(world), filtered_(filtered) {}

  /// The table before any job; `filled`: y has values that another tool wrote.
  void Create(int64_t fragments, int64_t max_rows, bool filled);
  /// One change by another writer.
  void Disturb();

  [[nodiscard]] int64_t latest() const { return static_cast<int64_t>(versions_.size()); }
  [[nodiscard]] const SimVersion& at(int64_t version) const { return versions_[static_cast<size_t>(version - 1)]; }
  [[nodiscard]] FragmentInfo InfoOf(int64_t id, const SimFragment& fragment) const;
  /// The values of y; a file that is not there is a broken promise.
  Int64s OutputOf(const SimFragment& fragment);
  /// `address`: of the row; as in Lance, the fragment's number and the row's number in it.
  [[nodiscard]] bool Selected(const std::string& filter, const SimRow& row, const std::optional<int64_t>& y,
                              int64_t address) const;
  /// Whether the rows that a version compacted are in the order they were in.
  [[nodiscard]] bool KeptOrder(int64_t version) const;

  Result<int64_t> Commit(int64_t read_version, const std::vector<FragmentUpdate>& updates, const CommitMark& mark);
  /// Every live row as it must be when all jobs are done.
  void CheckEveryRow();
  /// Every version can be read still.
  void CheckEveryVersion();
  [[nodiscard]] std::set<std::string> ReferredFiles() const;
  [[nodiscard]] int64_t rows_wanted() const;

  std::optional<std::string> done_version;

 private:
  SimRow NewRow();
  void Append(SimVersion& next);
  void DeleteRow(SimVersion& next);
  void Compact(SimVersion& next);
  void Update(SimVersion& next);
  void MoveRows(SimVersion& next);
  SimFragment CompactRows(const SimVersion& next, const std::vector<int64_t>& chosen, Rewrite& rewrite);
  void CheckUpdate(const FragmentUpdate& update, const SimFragment& now, const SimFragment& read);

  World& world_;
  bool filtered_;
  std::vector<SimVersion> versions_;
  std::map<int64_t, std::optional<int64_t>> before_;  ///< y of each row before any job.
  int64_t next_fragment_ = 0;
  int64_t next_row_ = 0;
  int64_t next_file_ = 0;
};

/// The table as one process sees it.
class TableView final : public TableSnapshot, public TableTransaction, public BatchReader {
 public:
  TableView(World& world, SimTable& table, Process& process, int64_t version)
      : world_(world), table_(table), process_(process), version_(version) {}

  Result<std::vector<FragmentInfo>> Fragments() override;
  Result<std::map<int64_t, int64_t>> CountSelected(const std::string& filter,
                                                   const std::vector<int64_t>& fragment_ids) override;
  Result<TableHistory> HistoryOf(const std::vector<std::string>& names) override;
  Result<bool> KeptOrder(const Rewrite& rewrite) override;
  Result<std::vector<TableChange>> Changes(int64_t since_version, int64_t until_version) override;
  Result<int64_t> MoveToLatest() override;
  Result<BatchStream> Open(const ReadRequest& request) override;
  Result<int64_t> LatestVersion() override;
  Result<std::vector<FragmentInfo>> Inspect(int64_t version, const std::vector<int64_t>& fragment_ids) override;
  Result<int64_t> Commit(int64_t read_version, const std::vector<FragmentUpdate>& updates,
                         const CommitMark& mark) override;
  Result<std::optional<int64_t>> FindMark(int64_t since_version, const CommitMark& mark) override;
  Status MarkDone(const std::string& udf_version) override;
  [[nodiscard]] int64_t version() const { return version_; }

 private:
  World& world_;
  SimTable& table_;
  Process& process_;
  int64_t version_;
};

}  // namespace leman::sim
