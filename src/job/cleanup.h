// What dead jobs left beside a table, and which of it may go. Rules: docs/formats/leftovers.md.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "io/object_store.h"

namespace leman {

struct StoredFile {
  std::string key;  ///< Of the table's object store.
  int64_t size_bytes = 0;
  int64_t changed_micros = 0;  ///< Unix time of the last change of its bytes or its name.
};

/// A job as its record or its lease tells.
struct KnownJob {
  std::string job_id;
  bool alive = false;
  /// The rest is of jobs that are alive. Where the start is not known, the job may need every file.
  std::optional<int64_t> launched_micros;
  std::string column;
  std::string udf_version;
  std::optional<std::string> where;
  std::vector<std::string> output_types;  ///< Every type that the column may have had for this job.
};

/// A column's lease; see docs/formats/lease.md.
struct KnownLease {
  std::string key;
  std::string bytes;  ///< As they were when it was decided whether it is held.
  bool held = true;
};

/// The files are listed first, the jobs read then, the references last: so a file that a job adds or commits meanwhile
/// is either not listed, or of a job that is seen alive, or referred to.
struct CleanupInputs {
  int64_t now_micros = 0;
  std::vector<StoredFile> files;            ///< All of "data" and "_leman"; those that are not Leman's are passed over.
  std::set<std::string> referred_data;      ///< Names of data files of every version, tag and branch.
  std::set<std::string> referred_payloads;  ///< Hashes of stored functions, likewise.
  std::vector<KnownJob> jobs;
  std::vector<KnownLease> leases;
  int64_t grace_micros = 600'000'000;                  ///< A job elsewhere may be about to commit so young a file.
  int64_t payload_grace_micros = 86'400'000'000;       ///< A column may be about to name so young a function.
  std::optional<int64_t> jobs_older_than_micros = {};  ///< Records of jobs that ended longer ago go, too.
};

enum class CleanupReason {
  // Why a file goes.
  kDeadCheckpoint,
  kUnfinishedFile,
  kUnusedDataFile,
  kDeadLease,
  kCancelOfEndedJob,
  kOldJobRecord,
  kUnusedFunction,
  // Why a file stays that is needed by nothing that is known.
  kRunningJob,
  kTooYoung,
};

/// For people, e.g. "checkpoint of no running job".
std::string_view CleanupReasonText(CleanupReason reason);

struct CleanupItem {
  std::string key;
  int64_t size_bytes = 0;
  CleanupReason reason = CleanupReason::kDeadCheckpoint;
  /// Remove only while the file has these bytes: leases change hands.
  std::optional<std::string> only_if_bytes = {};
};

struct CleanupPlan {
  std::vector<CleanupItem> remove;  ///< In the order in which they have to go: leases first.
  std::vector<CleanupItem> keep;    ///< Leftovers that may be needed still. Files in use are in neither list.
};

/// Pure.
CleanupPlan PlanCleanup(const CleanupInputs& inputs);

struct CleanupResult {
  int64_t files = 0;
  int64_t bytes = 0;
  int64_t failed = 0;
  std::optional<Error> first_error;
};

/// Removes what the plan says; goes on after a file that cannot be removed. Leaves all data files where a lease could
/// not be removed.
CleanupResult CarryOutCleanup(const CleanupPlan& plan, ObjectStore& store);

}  // namespace leman
