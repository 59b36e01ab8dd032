// Makes finished fragments visible, and knows what to do when the table says no or says nothing.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "model/fragment_info.h"
#include "model/fragment_update.h"
#include "table/table_transaction.h"

namespace leman {

struct CommitOutcome {
  int64_t version = 0;              ///< The table version after it; 0 if nothing was committed.
  std::vector<int64_t> committed;   ///< Fragments now visible.
  std::vector<int64_t> conflicted;  ///< Fragments that others changed: plan them again on the new version.
  int64_t conflicts = 0;            ///< Times the table said no and was asked again.
  bool uncertain = false;           ///< An answer was lost on the way: a file that was offered may still be taken.
};

/// Commits of one job, one at a time. Before each commit, if the table has moved, the fragments are looked at again:
/// rows, input files and our own column must be as planned, since the table format checks none of it.
class Committer {
 public:
  /// `table` and `clock` outlive this. `read_version` is the version that was planned on.
  Committer(TableTransaction& table, Clock& clock, std::string job_id, int64_t read_version)
      : table_(table),
        clock_(clock),
        job_id_(std::move(job_id)),
        known_version_(read_version),
        seen_version_(read_version) {}

  /// `expected` holds what each fragment of `updates` was planned on. An error means that the outcome is known to be
  /// "nothing happened", except kUnknownOutcome, after which no file may be deleted. kConflict also where the table was
  /// restored or overwritten meanwhile.
  Result<CommitOutcome> Commit(std::vector<FragmentUpdate> updates, const std::map<int64_t, FragmentInfo>& expected);

 private:
  CommitOutcome Committed(int64_t version, int64_t looked_at, const std::vector<FragmentUpdate>& updates,
                          CommitOutcome outcome);
  Result<std::vector<FragmentUpdate>> DropChanged(int64_t version, std::vector<FragmentUpdate> updates,
                                                  const std::map<int64_t, FragmentInfo>& expected,
                                                  CommitOutcome& outcome);
  Result<int64_t> TryCommit(int64_t version, const std::vector<FragmentUpdate>& updates, const CommitMark& mark,
                            CommitOutcome& outcome);

  TableTransaction& table_;
  Clock& clock_;
  std::string job_id_;
  int64_t known_version_;
  int64_t seen_version_;  ///< What others did up to here is known not to end the job.
  int64_t sequence_ = 0;
};

}  // namespace leman
