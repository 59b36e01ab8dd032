#include "job/column_lease.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/sha256.h"
#include "job/process_identity.h"

namespace leman {
namespace {

using Json = nlohmann::ordered_json;

struct Lease {
  std::string job_id;
  std::string token;
  int64_t fence = 0;
  ProcessIdentity holder;
  int64_t renewed_micros = 0;
};

template <typename T>
T Field(const Json& object, const char* name, T otherwise) {
  const auto found = object.find(name);
  if (found == object.end()) return otherwise;
  if constexpr (std::is_same_v<T, std::string>) {
    return found->is_string() ? found->get<std::string>() : otherwise;
  } else {
    return found->is_number_integer() ? found->get<T>() : otherwise;
  }
}

// Nothing where the bytes are not a lease: its writer died in the middle, or another tool was there.
std::optional<Lease> Parse(const std::string& bytes) {
  const Json json = Json::parse(bytes, nullptr, false);
  if (!json.is_object() || Field<int64_t>(json, "format", 0) != 1) return std::nullopt;
  const auto holder = json.find("holder");
  if (holder == json.end() || !holder->is_object()) return std::nullopt;
  return Lease{Field<std::string>(json, "job_id", ""),
               Field<std::string>(json, "token", ""),
               Field<int64_t>(json, "fence", 0),
               {Field<int64_t>(*holder, "pid", 0), Field<std::string>(*holder, "host", ""),
                Field<std::string>(*holder, "boot_id", ""), Field<int64_t>(*holder, "start_ticks", 0)},
               Field<int64_t>(json, "renewed_at_us", 0)};
}

std::string RandomToken() {
  std::random_device random;
  return std::to_string(random()) + "-" + std::to_string(random()) + "-" + std::to_string(random());
}

// A job of this very process that ended while the store was away, and so could not give its lease back.
bool EndedHere(const Lease& lease, const BackfillSpec& spec) {
  if (!spec.jobs_running_here) return false;
  const ProcessIdentity self = ThisProcess();
  const ProcessIdentity& holder = lease.holder;
  if (holder.pid != self.pid || holder.host != self.host || holder.boot_id != self.boot_id) return false;
  if (holder.start_ticks != self.start_ticks || self.start_ticks == 0) return false;
  const std::vector<std::string>& running = *spec.jobs_running_here;
  return std::find(running.begin(), running.end(), lease.job_id) == running.end();
}

bool IsStale(const Lease& lease, const BackfillSpec& spec, int64_t now_micros) {
  return now_micros - lease.renewed_micros > ColumnLease::kExpiresAfterMicros || IsGone(lease.holder) ||
         EndedHere(lease, spec);
}

Error BusyError(const BackfillSpec& spec, const Lease& held, int64_t now_micros) {
  constexpr int64_t kMicrosPerSecond = 1'000'000;
  const int64_t silent_s = (now_micros - held.renewed_micros) / kMicrosPerSecond;
  std::string silence;
  if (static_cast<double>(silent_s) > 1.5 * ColumnLease::kHeartbeatSecs) {
    silence = ". It has not been heard of for " + std::to_string(silent_s) +
              " s: if it stays silent, the column is free in " +
              std::to_string(ColumnLease::kExpiresAfterMicros / kMicrosPerSecond - silent_s + 1) + " s";
  }
  return MakeError(ErrorKind::kAlreadyExists, "column '", spec.column, "' is being filled by job ", held.job_id,
                   " (process ", held.holder.pid, " on ", held.holder.host,
                   "); wait for it, or stop it with `leman cancel`", silence);
}

}  // namespace

ColumnLease::ColumnLease(const BackfillSpec& spec, ObjectStore& store, Clock& clock)
    : store_(store),
      clock_(clock),
      key_("_leman/leases/" + Sha256Hex(spec.column).substr(0, 16) + ".json"),
      column_(spec.column),
      job_id_(spec.job_id),
      token_(RandomToken()),
      renewed_ns_(clock.MonotonicNs()) {}

std::string ColumnLease::Render() const {
  const ProcessIdentity self = ThisProcess();
  const Json json = {
      {"format", 1},
      {"column", column_},
      {"job_id", job_id_},
      {"token", token_},
      {"fence", fence_},
      {"holder",
       {{"pid", self.pid}, {"host", self.host}, {"boot_id", self.boot_id}, {"start_ticks", self.start_ticks}}},
      {"renewed_at_us", clock_.UnixMicros()}};
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<std::unique_ptr<ColumnLease>> ColumnLease::Acquire(const BackfillSpec& spec, ObjectStore& store, Clock& clock) {
  std::unique_ptr<ColumnLease> lease(new ColumnLease(spec, store, clock));
  const Status created = store.PutIfAbsent(lease->key_, lease->Render());
  if (created.ok()) return lease;
  if (created.error().kind != ErrorKind::kAlreadyExists) return created.error();
  const Result<std::string> bytes = store.Get(lease->key_);
  if (!bytes.ok() && bytes.error().kind != ErrorKind::kNotFound) return bytes.error();
  const std::optional<Lease> held = bytes.ok() ? Parse(*bytes) : std::nullopt;
  if (held && !IsStale(*held, spec, clock.UnixMicros())) {
    lease->token_.clear();  // not ours: the destructor must not remove it
    return BusyError(spec, *held, clock.UnixMicros());
  }
  lease->fence_ = held ? held->fence + 1 : 1;
  // Of several jobs that find a dead one's lease, one takes it over.
  const Status taken = bytes.ok() ? store.PutIfMatch(lease->key_, lease->Render(), *bytes)
                                  : store.PutIfAbsent(lease->key_, lease->Render());
  if (!taken.ok() && (taken.error().kind == ErrorKind::kConflict || taken.error().kind == ErrorKind::kAlreadyExists)) {
    lease->token_.clear();
    return MakeError(ErrorKind::kAlreadyExists, "column '", spec.column,
                     "' was just taken by another job; wait for it, or stop it with `leman cancel`");
  }
  LEMAN_RETURN_IF_ERROR(taken);
  LEMAN_RETURN_IF_ERROR(lease->Check());
  return lease;
}

ColumnLease::~ColumnLease() {
  if (!token_.empty() && Check().ok()) (void)store_.Delete(key_);
}

Status ColumnLease::Check() {
  LEMAN_RETURN_IF_ERROR(ReadOwn());
  return Ok();
}

Result<std::string> ColumnLease::ReadOwn() {
  Result<std::string> bytes = store_.Get(key_);
  const std::optional<Lease> held = bytes.ok() ? Parse(*bytes) : std::nullopt;
  if (held && held->token == token_) return bytes;
  if (!bytes.ok() && bytes.error().kind != ErrorKind::kNotFound) return bytes.error();
  return MakeError(ErrorKind::kConflict, "job ", job_id_, " lost its lease on column '", column_, "'",
                   held ? " to job " + held->job_id : std::string(),
                   ": it was taken for dead; nothing more is committed by it");
}

Status ColumnLease::Renew(int64_t every_ns) {
  const std::lock_guard lock(mutex_);
  const int64_t now_ns = clock_.MonotonicNs();
  if (now_ns - renewed_ns_ < every_ns) return Ok();
  renewed_ns_ = now_ns;
  const Result<std::string> held = ReadOwn();
  if (!held.ok() && held.error().kind == ErrorKind::kConflict) return held.error();
  // A full disk must not end the job: at worst the lease expires, and the next check says so.
  if (held.ok()) (void)store_.PutIfMatch(key_, Render(), *held);
  return Ok();
}

}  // namespace leman
