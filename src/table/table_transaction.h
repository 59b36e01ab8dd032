// Port: changes of the table that readers see at once or not at all.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/fragment_info.h"
#include "model/fragment_update.h"

namespace leman {

/// Names one commit of one job, so that after a lost answer the table can be asked whether it happened.
struct CommitMark {
  std::string job_id;
  int64_t sequence = 0;
};

/// What one version of the table did to the one before.
struct TableChange {
  int64_t version = 0;
  std::string operation;    ///< Lance's name of the operation, e.g. "Append"; empty where the table does not know.
  bool moves_rows = false;  ///< Rows of earlier fragments are now in new ones, with new values: an update.
};

class TableTransaction {
 public:
  virtual ~TableTransaction() = default;
  /// The newest version of the table.
  virtual Result<int64_t> LatestVersion() = 0;
  /// The fragments of `version` with these ids; those that are gone are absent. kNotFound: the output column is gone.
  virtual Result<std::vector<FragmentInfo>> Inspect(int64_t version, const std::vector<int64_t>& fragment_ids) = 0;
  /// Replaces the output column's data file in every fragment of `updates`, on top of `read_version`; returns the new
  /// version. kConflict: another change is in the way, nothing happened. kUnknownOutcome: it may have happened.
  virtual Result<int64_t> Commit(int64_t read_version, const std::vector<FragmentUpdate>& updates,
                                 const CommitMark& mark) = 0;
  /// The version after `since_version` that carries `mark`, if one does.
  virtual Result<std::optional<int64_t>> FindMark(int64_t since_version, const CommitMark& mark) = 0;
  /// What the versions after `since_version` up to `until_version` did, in order. A table that keeps no history may
  /// leave versions out.
  virtual Result<std::vector<TableChange>> Changes(int64_t since_version, int64_t until_version) {
    (void)since_version, (void)until_version;
    return std::vector<TableChange>{};
  }
  /// Remembers on the column that data files without a record count as done for `udf_version`. Errors are those of
  /// Commit; to do it twice changes nothing.
  virtual Status MarkDone(const std::string& udf_version) = 0;
};

}  // namespace leman
