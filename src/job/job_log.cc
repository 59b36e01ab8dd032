#include "job/job_log.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "job/column_lease.h"
#include "job/process_identity.h"

namespace leman {
namespace {

constexpr size_t kMaxEvents = 200;
constexpr size_t kMaxMessageBytes = 4096;
constexpr double kNsPerSecond = 1e9;

using Json = nlohmann::ordered_json;

double Seconds(int64_t ns) { return static_cast<double>(ns) / kNsPerSecond; }

// At most `size` bytes of `text`, no UTF-8 character cut in two.
std::string CutText(const std::string& text, size_t size) {
  if (text.size() <= size) return text;
  while (size > 0 && (static_cast<uint8_t>(text[size]) & 0xc0) == 0x80) --size;
  return text.substr(0, size);
}

Json Driver() {
  const ProcessIdentity self = ThisProcess();
  return {{"pid", self.pid},
          {"host", self.host},
          {"boot_id", self.boot_id.empty() ? Json(nullptr) : Json(self.boot_id)},
          {"start_ticks", self.start_ticks == 0 ? Json(nullptr) : Json(self.start_ticks)}};
}

Json Metrics(const JobMetrics& m, double duration_s) {
  Json json;
  VisitMetrics(
      m, [&json](const char* name, int64_t value) { json[name] = value; },
      [&json](const char* name, double value) { json[name] = value; });
  json["rows_checkpointed"] = m.rows_computed + m.rows_resumed;
  json["rows_reused"] = m.rows_resumed;
  json["duration_s"] = duration_s;
  json["rows_per_s"] = duration_s > 0 ? static_cast<double>(m.rows_computed) / duration_s : 0.0;
  return json;
}

}  // namespace

std::string ErrorTypeName(const Error& error) {
  if (!error.name.empty()) return error.name;
  switch (error.kind) {
    case ErrorKind::kUserFunction:
      return "UserFunctionError";
    case ErrorKind::kCancelled:
      return error.message.starts_with("the job's timeout") ? "JobTimeoutError" : "JobCancelledError";
    case ErrorKind::kConflict:
      return "ConflictError";
    case ErrorKind::kAlreadyExists:
      return "ColumnBusyError";
    case ErrorKind::kCorrupt:
      return "CorruptDataError";
    default:
      return "JobFailedError";
  }
}

JobLog::JobLog(const BackfillSpec& spec, ObjectStore& store, Clock& clock)
    : spec_(spec),
      store_(store),
      clock_(clock),
      launched_micros_(clock.UnixMicros()),
      launched_ns_(clock.MonotonicNs()),
      errors_(spec, store, clock) {}

double JobLog::duration_s() const { return Seconds(clock_.MonotonicNs() - launched_ns_); }

void JobLog::Event(const std::string& message) {
  events_.emplace_back(clock_.UnixMicros(), message);
  if (events_.size() > kMaxEvents) events_.erase(events_.begin() + 1);
}

std::string JobLog::Render(JobStatus status, const JobMetrics& metrics, const std::optional<Error>& error,
                           int64_t version) const {
  const bool ended = status == JobStatus::kDone || status == JobStatus::kFailed || status == JobStatus::kCancelled;
  const int64_t now = clock_.UnixMicros();
  Json record = {{"format", 1},
                 {"job_id", spec_.job_id},
                 {"table_name", spec_.table_name},
                 {"column", spec_.column},
                 {"status", JobStatusName(status)},
                 {"launched_at", FormatUtc(launched_micros_)},
                 {"updated_at", FormatUtc(now)},
                 {"completed_at", ended ? Json(FormatUtc(now)) : Json(nullptr)},
                 {"error", nullptr},
                 {"driver", Driver()},
                 {"read_version", spec_.read_version},
                 {"version", version > 0 ? Json(version) : Json(nullptr)},
                 {"udf_name", spec_.udf_name},
                 {"udf_version", spec_.udf_version},
                 {"where", spec_.where ? Json(*spec_.where) : Json(nullptr)},
                 {"metrics", Metrics(metrics, duration_s())}};
  if (error) {
    record["error"] = {{"type", ErrorTypeName(*error)}, {"message", CutText(error->message, kMaxMessageBytes)}};
  }
  Json events = Json::array();
  for (const auto& [micros, message] : events_) {
    events.push_back({{"timestamp", FormatUtc(micros)}, {"message", message}});
  }
  record["events"] = std::move(events);
  return record.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

void JobLog::Write(JobStatus status, const JobMetrics& metrics, const std::optional<Error>& error, int64_t version,
                   bool now) {
  const int64_t now_ns = clock_.MonotonicNs();
  const double since_s = Seconds(now_ns - last_write_ns_);
  if (!now && last_write_ns_ >= 0 && since_s < std::min(spec_.refresh_status_secs, ColumnLease::kHeartbeatSecs)) return;
  last_write_ns_ = now_ns;
  const Status written = store_.Put("_leman/jobs/" + spec_.job_id + ".json", Render(status, metrics, error, version));
  if (!written.ok() && !write_error_) write_error_ = written.error();
  const Status errors_written = errors_.Write();
  if (!errors_written.ok() && !write_error_) write_error_ = errors_written.error();
}

bool JobLog::CancelRequested() {
  const int64_t now_ns = clock_.MonotonicNs();
  constexpr int64_t kLookEveryNs = 500'000'000;
  if (last_cancel_look_ns_ >= 0 && now_ns - last_cancel_look_ns_ < kLookEveryNs) return false;
  last_cancel_look_ns_ = now_ns;
  const auto exists = store_.Exists("_leman/jobs/" + spec_.job_id + ".cancel");
  return exists.ok() && *exists;
}

void JobLog::ClearCancelRequest() { (void)store_.Delete("_leman/jobs/" + spec_.job_id + ".cancel"); }

}  // namespace leman
