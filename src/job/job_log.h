// The job's record beside the table: status, metrics, events. Format: docs/formats/job_record.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "io/object_store.h"
#include "job/error_log.h"
#include "model/backfill_spec.h"
#include "model/job_state.h"

namespace leman {

/// Keeps what happened in a job and writes it down. Writing is best effort while the job runs: a full disk must not
/// end a job that could go on; the first failure is remembered.
class JobLog {
 public:
  JobLog(const BackfillSpec& spec, ObjectStore& store, Clock& clock);

  void Event(const std::string& message);
  /// Rows of a table version that were skipped; they are written beside the record.
  void AddSkipped(const std::vector<SkippedRow>& rows, int64_t table_version) { errors_.Add(rows, table_version); }
  /// Writes the record if refresh_status_secs, or the time of a heartbeat, have passed since the last time, or if
  /// `now`.
  void Write(JobStatus status, const JobMetrics& metrics, const std::optional<Error>& error, int64_t version, bool now);
  /// Whether somebody has asked to cancel the job since the last call; looks at most once a refresh period.
  bool CancelRequested();
  /// Removes a cancel request that is there.
  void ClearCancelRequest();

  [[nodiscard]] double duration_s() const;
  [[nodiscard]] const std::optional<Error>& write_error() const { return write_error_; }

 private:
  [[nodiscard]] std::string Render(JobStatus status, const JobMetrics& metrics, const std::optional<Error>& error,
                                   int64_t version) const;

  const BackfillSpec& spec_;
  ObjectStore& store_;
  Clock& clock_;
  int64_t launched_micros_;
  int64_t launched_ns_;
  int64_t last_write_ns_ = -1;
  int64_t last_cancel_look_ns_ = -1;
  std::vector<std::pair<int64_t, std::string>> events_;
  std::optional<Error> write_error_;
  ErrorLog errors_;
};

/// The name of the Python exception for an error of a job, see python/leman/errors.py.
std::string ErrorTypeName(const Error& error);

}  // namespace leman
