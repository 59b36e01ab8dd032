// One job a column at a time. Format and rules: docs/formats/lease.md.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "io/object_store.h"
#include "model/backfill_spec.h"

namespace leman {

/// Held from Acquire to destruction. Thread-safe.
class ColumnLease {
 public:
  /// kAlreadyExists: another job fills the column; the message names it. `store` and `clock` outlive the lease.
  static Result<std::unique_ptr<ColumnLease>> Acquire(const BackfillSpec& spec, ObjectStore& store, Clock& clock);
  /// Gives the lease back, if it is still this job's.
  ~ColumnLease();
  ColumnLease(const ColumnLease&) = delete;
  ColumnLease& operator=(const ColumnLease&) = delete;

  /// kConflict: another driver took this one for dead and took the lease over.
  Status Check();
  /// Check, and say that this driver still lives; does nothing more often than `every_ns`. Fails with kConflict only.
  Status Renew(int64_t every_ns);

  static constexpr int64_t kExpiresAfterMicros = 60'000'000;
  /// A driver that lives says so at least so often, in its lease and its record, however rarely it tells its figures.
  static constexpr double kHeartbeatSecs = 15.0;

 private:
  ColumnLease(const BackfillSpec& spec, ObjectStore& store, Clock& clock);
  [[nodiscard]] std::string Render() const;
  Result<std::string> ReadOwn();  ///< The lease's bytes while it is this job's; see Check.

  ObjectStore& store_;
  Clock& clock_;
  std::string key_;
  std::string column_;
  std::string job_id_;
  std::string token_;
  int64_t fence_ = 1;
  std::mutex mutex_;
  int64_t renewed_ns_ = 0;
};

}  // namespace leman
