#include "commit/committer.h"

#include <algorithm>

#include "commit/table_changes.h"

namespace leman {
namespace {

constexpr int kMaxAttempts = 10;
constexpr int64_t kFirstPauseNs = 20'000'000;
constexpr int64_t kLongestPauseNs = 5'000'000'000;

bool SameAsPlanned(const FragmentInfo& planned, const FragmentInfo& now) {
  return planned.physical_rows == now.physical_rows && planned.input_identity == now.input_identity &&
         planned.where_identity == now.where_identity && planned.output_file == now.output_file;
}

}  // namespace

Result<CommitOutcome> Committer::Commit(std::vector<FragmentUpdate> updates,
                                        const std::map<int64_t, FragmentInfo>& expected) {
  CommitOutcome outcome;
  const CommitMark mark{job_id_, ++sequence_};
  int64_t pause_ns = kFirstPauseNs;
  int64_t first_version = -1;
  for (int attempt = 1;; ++attempt) {
    LEMAN_ASSIGN_OR_RETURN(const int64_t version, table_.LatestVersion());
    if (first_version < 0) first_version = version;
    if (outcome.uncertain && version != first_version) {
      // A request whose answer was lost may arrive late: what looks like another's change may be this very commit.
      LEMAN_ASSIGN_OR_RETURN(const auto found, table_.FindMark(first_version, mark));
      if (found) return Committed(*found, -1, updates, std::move(outcome));
    }
    if (version != known_version_) {
      LEMAN_ASSIGN_OR_RETURN(updates, DropChanged(version, std::move(updates), expected, outcome));
      if (updates.empty()) return outcome;
    }
    const Result<int64_t> committed = TryCommit(version, updates, mark, outcome);
    if (committed.ok()) return Committed(*committed, version, updates, std::move(outcome));
    const ErrorKind kind = committed.error().kind;
    if (kind != ErrorKind::kConflict && kind != ErrorKind::kRetryable) return committed.error();
    ++outcome.conflicts;
    known_version_ = -1;
    if (attempt == kMaxAttempts) {
      return committed.error().WithContext("commit failed " + std::to_string(attempt) + " times");
    }
    clock_.SleepNs(pause_ns);
    pause_ns = std::min(pause_ns * 2, kLongestPauseNs);
  }
}

CommitOutcome Committer::Committed(int64_t version, int64_t looked_at, const std::vector<FragmentUpdate>& updates,
                                   CommitOutcome outcome) {
  // Only while nobody else has committed since the plan: the next commit's fragments were not looked at by this one.
  known_version_ = known_version_ == looked_at && version == looked_at + 1 ? version : -1;
  outcome.version = version;
  for (const FragmentUpdate& update : updates) outcome.committed.push_back(update.fragment_id);
  return outcome;
}

Result<std::vector<FragmentUpdate>> Committer::DropChanged(int64_t version, std::vector<FragmentUpdate> updates,
                                                           const std::map<int64_t, FragmentInfo>& expected,
                                                           CommitOutcome& outcome) {
  LEMAN_ASSIGN_OR_RETURN(const auto changes, table_.Changes(seen_version_, version));
  LEMAN_RETURN_IF_ERROR(CheckSameTable(changes));
  seen_version_ = version;
  std::vector<int64_t> ids;
  for (const FragmentUpdate& update : updates) ids.push_back(update.fragment_id);
  LEMAN_ASSIGN_OR_RETURN(const std::vector<FragmentInfo> infos, table_.Inspect(version, ids));
  std::map<int64_t, const FragmentInfo*> now;
  for (const FragmentInfo& info : infos) now[info.id] = &info;
  std::vector<FragmentUpdate> kept;
  for (FragmentUpdate& update : updates) {
    const auto found = now.find(update.fragment_id);
    if (found != now.end() && SameAsPlanned(expected.at(update.fragment_id), *found->second)) {
      kept.push_back(std::move(update));
    } else {
      outcome.conflicted.push_back(update.fragment_id);
    }
  }
  return kept;
}

Result<int64_t> Committer::TryCommit(int64_t version, const std::vector<FragmentUpdate>& updates,
                                     const CommitMark& mark, CommitOutcome& outcome) {
  Result<int64_t> committed = table_.Commit(version, updates, mark);
  if (committed.ok() || committed.error().kind != ErrorKind::kUnknownOutcome) return committed;
  // The answer was lost: only the table knows. A mark decides; no mark means that it has not happened so far.
  outcome.uncertain = true;
  const auto found = table_.FindMark(version, mark);
  if (!found.ok()) {
    return MakeError(ErrorKind::kUnknownOutcome, "whether commit ", mark.sequence, " of job ", mark.job_id,
                     " happened is not known: ", committed.error().message,
                     "; and asking failed: ", found.error().message);
  }
  if (found->has_value()) return **found;
  return MakeError(ErrorKind::kRetryable, committed.error().message);
}

}  // namespace leman
