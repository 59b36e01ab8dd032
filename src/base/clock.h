// Time as a port: everything that waits or measures takes a Clock, so that tests and the simulator own time.
#pragma once

#include <cstdint>
#include <string>

namespace leman {

class Clock {
 public:
  virtual ~Clock() = default;
  /// Nanoseconds on a clock that never goes back; only differences mean anything.
  [[nodiscard]] virtual int64_t MonotonicNs() const = 0;
  /// Microseconds since 1970-01-01 UTC; may jump.
  [[nodiscard]] virtual int64_t UnixMicros() const = 0;
  /// Lets `ns` nanoseconds pass.
  virtual void SleepNs(int64_t ns) = 0;
};

class SystemClock final : public Clock {
 public:
  [[nodiscard]] int64_t MonotonicNs() const override;
  [[nodiscard]] int64_t UnixMicros() const override;
  void SleepNs(int64_t ns) override;
};

/// A clock that moves only when told to.
class ManualClock final : public Clock {
 public:
  [[nodiscard]] int64_t MonotonicNs() const override { return now_ns_; }
  [[nodiscard]] int64_t UnixMicros() const override { return now_ns_ / 1000; }
  void SleepNs(int64_t ns) override { now_ns_ += ns; }
  void AdvanceNs(int64_t ns) { now_ns_ += ns; }

 private:
  int64_t now_ns_ = 0;
};

/// `unix_micros` as ISO 8601 in UTC with milliseconds, e.g. "2026-11-23T01:02:03.456Z".
std::string FormatUtc(int64_t unix_micros);

}  // namespace leman
