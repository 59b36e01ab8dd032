// The call of the user's function that a thread is in, for whoever watches it.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "base/clock.h"

namespace leman {

/// Written by the thread that calls, read by others. Only used where calls have a time limit.
///
/// A call on many rows may tell where it is, in two numbers that it writes with atomic stores while others read them.
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
  /// The same, where the function changes both numbers as it goes on; they stay where they are until End.
  void BeginMoving(int64_t* first, int64_t* rows) {
    const std::lock_guard lock(mutex_);
    call_ = {++calls_, clock_.MonotonicNs(), *first, *rows};
    first_ = first;
    rows_ = rows;
  }
  /// It has come back.
  void End() {
    const std::lock_guard lock(mutex_);
    call_ = {};
    first_ = rows_ = nullptr;
  }
  [[nodiscard]] Call current() const {
    const std::lock_guard lock(mutex_);
    Call call = call_;
    if (first_ != nullptr) {
      call.first = std::atomic_ref(*first_).load(std::memory_order_relaxed);
      call.rows = std::atomic_ref(*rows_).load(std::memory_order_relaxed);
    }
    return call;
  }

 private:
  Clock& clock_;
  mutable std::mutex mutex_;
  uint64_t calls_ = 0;
  Call call_;
  int64_t* first_ = nullptr;
  int64_t* rows_ = nullptr;
};

/// Port: the calls of the function by one thread, where they have a time limit.
class WatchedCalls {
 public:
  virtual ~WatchedCalls() = default;
  [[nodiscard]] virtual const CallSlot& slot() const = 0;
  [[nodiscard]] virtual int64_t limit_ns() const = 0;
  /// Whether a call may come back before it is given up.
  [[nodiscard]] virtual bool can_interrupt() const = 0;
  /// Makes the call fail, if it is still that one and can be interrupted; on another thread, must not wait for it.
  virtual void Interrupt(const CallSlot::Call& call) = 0;
};

}  // namespace leman
