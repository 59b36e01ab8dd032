// The call of the user's function that a thread is in, for whoever watches it.
#pragma once

#include <cstdint>
#include <mutex>

#include "base/clock.h"

namespace leman {

/// Written by the thread that calls, read by others. Only used where calls have a time limit.
class CallSlot {
 public:
  struct Call {
    uint64_t number = 0;  ///< Counts calls; 0: the thread is in none.
    int64_t since_ns = 0;
    int64_t first = 0;  ///< Rows of the batch in hand that the call is about.
    int64_t rows = 0;
  };

  /// The clock outlives this.
  explicit CallSlot(Clock& clock) : clock_(clock) {}

  /// The function is called on `rows` rows of the batch from `first` on.
  void Begin(int64_t first, int64_t rows) {
    const std::lock_guard lock(mutex_);
    call_ = {++calls_, clock_.MonotonicNs(), first, rows};
  }
  /// It has come back.
  void End() {
    const std::lock_guard lock(mutex_);
    call_ = {};
  }
  [[nodiscard]] Call current() const {
    const std::lock_guard lock(mutex_);
    return call_;
  }

 private:
  Clock& clock_;
  mutable std::mutex mutex_;
  uint64_t calls_ = 0;
  Call call_;
};

}  // namespace leman
