// A table in memory with one int64 input column "x" and one int64 output column "y": every port of table/.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "io/object_store.h"
#include "table/batch_reader.h"
#include "table/column_writer.h"
#include "table/table_snapshot.h"
#include "table/table_transaction.h"
#include "table/testing/int64_array.h"

namespace leman::testing {

/// The only filter it understands is "x is odd"; and "`y` IS NULL". Files are text in an ObjectStore. Thread-safe.
class MemoryTable final : public TableSnapshot, public BatchReader, public ColumnWriter, public TableTransaction {
 public:
  explicit MemoryTable(ObjectStore& files) : files_(files) {}

  void AddFragment(int64_t id, const Int64s& x);
  void DeleteRow(int64_t fragment, int64_t row);
  /// Rewrites the input of a fragment: its data file has another name afterwards.
  void RewriteInput(int64_t fragment, const Int64s& x);
  /// The output column of a fragment as a reader sees it now.
  Int64s Output(int64_t fragment);
  int64_t version();
  /// What the next commits answer instead of doing their work; `happened` commits all the same.
  void FailNextCommit(ErrorKind kind, bool happened);

  /// The next `count` marks fail.
  void FailMarks(ErrorKind kind, int64_t count);
  /// What MarkDone said; empty: nothing so far.
  std::string done_version();

  Result<std::vector<FragmentInfo>> Fragments() override;
  Result<std::map<int64_t, int64_t>> CountSelected(const std::string& filter,
                                                   const std::vector<int64_t>& fragment_ids) override;
  Result<int64_t> MoveToLatest() override { return version(); }
  Result<BatchStream> Open(const ReadRequest& request) override;
  Result<std::unique_ptr<ColumnFile>> Create(const std::string& path, const std::string& pages_path) override;
  Result<int64_t> LatestVersion() override;
  Result<std::vector<FragmentInfo>> Inspect(int64_t version, const std::vector<int64_t>& fragment_ids) override;
  Result<int64_t> Commit(int64_t read_version, const std::vector<FragmentUpdate>& updates,
                         const CommitMark& mark) override;
  Result<std::optional<int64_t>> FindMark(int64_t since_version, const CommitMark& mark) override;
  Status MarkDone(const std::string& udf_version) override;

 private:
  struct Fragment {
    Int64s x;
    std::string input_file;
    std::string output_file;
    std::set<int64_t> deleted;
  };

  FragmentInfo InfoOf(int64_t id, const Fragment& fragment) const;
  Int64s OutputOf(const Fragment& fragment);
  bool Selected(const std::string& filter, const Fragment& fragment, const Int64s& y, int64_t row) const;

  ObjectStore& files_;
  std::mutex mutex_;
  std::map<int64_t, Fragment> fragments_;
  int64_t version_ = 1;
  int64_t files_made_ = 0;
  std::map<int64_t, CommitMark> marks_;
  std::optional<std::pair<ErrorKind, bool>> next_failure_;
  ErrorKind mark_failure_ = ErrorKind::kConflict;
  int64_t failing_marks_ = 0;
  std::string done_version_;
};

/// The text form in which MemoryTable keeps a column's values, and back.
std::string EncodeColumn(const Int64s& values);
Int64s DecodeColumn(const std::string& text);

}  // namespace leman::testing
