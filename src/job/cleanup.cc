#include "job/cleanup.h"

#include <algorithm>
#include <map>
#include <utility>

#include "model/backfill_spec.h"
#include "model/checkpoint_key.h"
#include "model/file_name_parts.h"
#include "model/placed_region.h"
#include "model/upload_parts.h"

namespace leman {
namespace {

constexpr std::string_view kLeman = "_leman/";
constexpr std::string_view kRecordSuffix = ".json";
constexpr size_t kComputationDigits = 32;
constexpr size_t kPayloadDigits = 64;

enum class FileKind { kForeign, kCheckpoint, kUnfinished, kData, kCancel, kJobRecord, kErrorRecord, kPayload };

struct NamedFile {
  FileKind kind = FileKind::kForeign;
  std::string name;  ///< What `kind` is about: computation, data file name, job id, hash.
};

bool IsOnly(std::string_view text, std::string_view allowed) {
  return !text.empty() && text.find_first_not_of(allowed) == std::string_view::npos;
}

bool IsJobId(std::string_view text) {
  return text.size() <= 128 && IsOnly(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");
}

std::optional<std::string_view> Without(std::string_view text, std::string_view suffix) {
  if (!text.ends_with(suffix)) return std::nullopt;
  return text.substr(0, text.size() - suffix.size());
}

// A file that is written under this name and renamed when it is whole: "<name>.tmp-<process>-<serial>" of the local
// object store, ".tmp-<8 characters>" of python/leman/table_files.py.
bool IsTemporaryName(std::string_view name) {
  if (name.starts_with(".tmp-")) {
    return name.size() == 13 && IsOnly(name.substr(5), "abcdefghijklmnopqrstuvwxyz0123456789_");
  }
  const size_t at = name.rfind(".json.tmp-");
  return at != std::string_view::npos && IsJobId(name.substr(0, at)) && IsOnly(name.substr(at + 10), "0123456789-");
}

NamedFile RecognizeOwn(std::string_view folder, std::string_view name) {
  const bool has_records = folder == "jobs" || folder == "errors" || folder == "leases";
  if ((has_records || folder == "udfs") && IsTemporaryName(name)) return {FileKind::kUnfinished, std::string(name)};
  if (folder == "udfs") {
    const auto hash = Without(name, ".pkl");
    if (hash && IsHex(*hash, kPayloadDigits)) return {FileKind::kPayload, std::string(*hash)};
    return {};
  }
  if (folder == "jobs") {
    const auto cancelled = Without(name, ".cancel");
    if (cancelled && IsJobId(*cancelled)) return {FileKind::kCancel, std::string(*cancelled)};
  }
  const auto job_id = Without(name, kRecordSuffix);
  if (!job_id || !IsJobId(*job_id)) return {};
  if (folder == "jobs") return {FileKind::kJobRecord, std::string(*job_id)};
  if (folder == "errors") return {FileKind::kErrorRecord, std::string(*job_id)};
  return {};
}

// ".tmp" and 6 characters: under this name Lance's writer makes any file, also a checkpoint's temporary one. In "data"
// it may be anybody's; in the folder of a computation it is a worker's.
bool IsLanceTemporaryName(std::string_view name) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  return name.size() == 10 && name.starts_with(".tmp") && IsOnly(name.substr(4), kAllowed);
}

// What a file is, by nothing but its name.
NamedFile Recognize(std::string_view key) {
  if (key.starts_with("data/")) {
    const std::string_view name = key.substr(5);
    // Blobs that lie beside a data file are in a folder of its name: they go when it goes.
    if (const size_t slash = name.find('/'); slash != std::string_view::npos) {
      const std::string owner = std::string(name.substr(0, slash)) + ".lance";
      if (!name.ends_with(".blob") || name.rfind('/') != slash || !ParseDoneFileName(owner)) return {};
      return {FileKind::kData, owner};
    }
    const auto unfinished = Without(name, ".tmp");
    if (!ParseDoneFileName(std::string(unfinished.value_or(name)))) return {};
    return {unfinished ? FileKind::kUnfinished : FileKind::kData, std::string(name)};
  }
  if (!key.starts_with(kLeman)) return {};
  key.remove_prefix(kLeman.size());
  const size_t end = key.rfind('/');
  if (end == std::string_view::npos) return {};
  const std::string_view folder = key.substr(0, end);
  const std::string_view name = key.substr(end + 1);
  constexpr std::string_view kCheckpoints = "checkpoints/";
  if (!folder.starts_with(kCheckpoints)) return RecognizeOwn(folder, name);
  const std::string_view computation = folder.substr(kCheckpoints.size());
  const bool named = name.starts_with("tmp-") || IsLanceTemporaryName(name) ||
                     ParseCheckpointFileName(std::string(name)) || ParseRegionFileName(std::string(name)) ||
                     IsPagesFileName(std::string(name)) || ParsePartsFileName(std::string(name)) ||
                     IsUploadFileName(std::string(name));
  if (!named || !IsHex(computation, kComputationDigits)) return {};
  return {FileKind::kCheckpoint, std::string(computation)};
}

class Planning {
 public:
  explicit Planning(const CleanupInputs& inputs) : inputs_(inputs) {
    for (const KnownJob& job : inputs.jobs) {
      jobs_[job.job_id] |= job.alive;
      if (job.alive) AddAlive(job);
    }
  }

  CleanupPlan Run() {
    for (const KnownLease& lease : inputs_.leases) {
      if (lease.held) continue;
      plan_.remove.push_back(
          {lease.key, static_cast<int64_t>(lease.bytes.size()), CleanupReason::kDeadLease, lease.bytes});
    }
    for (const StoredFile& file : inputs_.files) Decide(file, Recognize(file.key));
    return std::move(plan_);
  }

 private:
  void AddAlive(const KnownJob& job) {
    any_alive_ = true;
    // The clocks of a driver's machine and of the one that keeps the files may differ: by less than the grace period.
    const int64_t since = job.launched_micros ? *job.launched_micros - inputs_.grace_micros : INT64_MIN;
    protected_since_ = std::min(protected_since_, since);
    for (const std::string& type : job.output_types) {
      BackfillSpec spec;
      spec.column = job.column;
      spec.udf_version = job.udf_version;
      spec.output_type = type;
      spec.where = job.where;
      computations_.insert(ComputationId(spec));
    }
  }

  void Decide(const StoredFile& file, const NamedFile& named) {
    switch (named.kind) {
      case FileKind::kForeign:
        return;
      case FileKind::kCheckpoint: {
        const bool needed = computations_.contains(named.name) || IsOfRunningJob(file);
        return needed ? Keep(file, CleanupReason::kRunningJob) : Remove(file, CleanupReason::kDeadCheckpoint);
      }
      case FileKind::kUnfinished:
        return RemoveUnlessNeeded(file, CleanupReason::kUnfinishedFile);
      case FileKind::kData:
        if (!inputs_.referred_data.contains(named.name)) RemoveUnlessNeeded(file, CleanupReason::kUnusedDataFile);
        return;
      case FileKind::kCancel:
        return DecideCancel(file, named.name);
      case FileKind::kJobRecord:
      case FileKind::kErrorRecord:
        return DecideRecord(file, named.name);
      case FileKind::kPayload:
        return DecidePayload(file, named.name);
    }
  }

  void RemoveUnlessNeeded(const StoredFile& file, CleanupReason reason) {
    if (IsOfRunningJob(file)) return Keep(file, CleanupReason::kRunningJob);
    if (AgeOf(file) < inputs_.grace_micros) return Keep(file, CleanupReason::kTooYoung);
    Remove(file, reason);
  }

  void DecideCancel(const StoredFile& file, const std::string& job_id) {
    const auto job = jobs_.find(job_id);
    if (job != jobs_.end() && job->second) return;
    // Without a record the job may be about to begin.
    if (job == jobs_.end() && AgeOf(file) < inputs_.grace_micros) return Keep(file, CleanupReason::kTooYoung);
    Remove(file, CleanupReason::kCancelOfEndedJob);
  }

  void DecideRecord(const StoredFile& file, const std::string& job_id) {
    if (!inputs_.jobs_older_than_micros || AgeOf(file) < *inputs_.jobs_older_than_micros) return;
    const auto job = jobs_.find(job_id);
    if (job != jobs_.end() && job->second) return;
    Remove(file, CleanupReason::kOldJobRecord);
  }

  void DecidePayload(const StoredFile& file, const std::string& hash) {
    if (inputs_.referred_payloads.contains(hash)) return;
    if (AgeOf(file) < inputs_.payload_grace_micros) return Keep(file, CleanupReason::kTooYoung);
    Remove(file, CleanupReason::kUnusedFunction);
  }

  // A clock that was put back makes files of the future: they count as young.
  [[nodiscard]] int64_t AgeOf(const StoredFile& file) const { return inputs_.now_micros - file.changed_micros; }
  [[nodiscard]] bool IsOfRunningJob(const StoredFile& file) const {
    return any_alive_ && file.changed_micros >= protected_since_;
  }
  void Remove(const StoredFile& file, CleanupReason reason) {
    plan_.remove.push_back({file.key, file.size_bytes, reason});
  }
  void Keep(const StoredFile& file, CleanupReason reason) { plan_.keep.push_back({file.key, file.size_bytes, reason}); }

  const CleanupInputs& inputs_;
  CleanupPlan plan_;
  std::map<std::string, bool> jobs_;  ///< Whether they are alive.
  std::set<std::string> computations_;
  bool any_alive_ = false;
  int64_t protected_since_ = INT64_MAX;
};

// Whether the file is gone now.
Result<bool> RemoveItem(const CleanupItem& item, ObjectStore& store) {
  if (item.only_if_bytes) {
    const Result<std::string> bytes = store.Get(item.key);
    if (!bytes.ok() && bytes.error().kind == ErrorKind::kNotFound) return false;
    if (!bytes.ok()) return bytes.error();
    if (*bytes != *item.only_if_bytes) return false;
  }
  LEMAN_RETURN_IF_ERROR(store.Delete(item.key));
  return true;
}

}  // namespace

std::string_view CleanupReasonText(CleanupReason reason) {
  switch (reason) {
    case CleanupReason::kDeadCheckpoint:
      return "checkpoint of no running job";
    case CleanupReason::kUnfinishedFile:
      return "file that was never finished";
    case CleanupReason::kUnusedDataFile:
      return "data file of no version";
    case CleanupReason::kDeadLease:
      return "lease of a job that is gone";
    case CleanupReason::kCancelOfEndedJob:
      return "cancel request of a job that has ended";
    case CleanupReason::kOldJobRecord:
      return "record of an old job";
    case CleanupReason::kUnusedFunction:
      return "function of no column";
    case CleanupReason::kRunningJob:
      return "a running job may need it";
    case CleanupReason::kTooYoung:
      return "too young: somebody may be about to use it";
  }
  return "";
}

CleanupPlan PlanCleanup(const CleanupInputs& inputs) { return Planning(inputs).Run(); }

CleanupResult CarryOutCleanup(const CleanupPlan& plan, ObjectStore& store) {
  CleanupResult result;
  bool leases_gone = true;
  for (const CleanupItem& item : plan.remove) {
    // A driver that was taken for dead checks its lease before it commits: without it, it commits no file that is gone.
    const bool is_data = item.key.starts_with("data/");
    if (is_data && !leases_gone) continue;
    const Result<bool> removed = RemoveItem(item, store);
    if (!removed.ok()) {
      ++result.failed;
      if (!result.first_error) result.first_error = removed.error();
      leases_gone &= item.reason != CleanupReason::kDeadLease;
    } else if (*removed) {
      ++result.files;
      result.bytes += item.size_bytes;
    } else {
      // Only a lease can have changed; its driver has come back.
      leases_gone = false;
    }
  }
  return result;
}

}  // namespace leman
