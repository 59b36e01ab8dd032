// Time limits on calls of a Python function, by one thread.
#pragma once

#include <nanobind/nanobind.h>
#include <pthread.h>

#include <atomic>
#include <memory>

#include "apply/call_slot.h"
#include "scalar/scalar_caller.h"

namespace leman::python {

/// Made and used by the thread that calls, with the GIL; Interrupt is the watch's, without.
///
/// On the main thread a signal is sent, whose Python handler raises: that ends blocking calls too. On other threads an
/// exception is raised in the bytecode; a blocking call there goes on, and its process is given up.
class CallGuard final : public WatchedCalls, public CallBracket, public std::enable_shared_from_this<CallGuard> {
 public:
  static constexpr int kSignalsAboveMin = 6;

  /// `on_main_thread`: the handler of the signal is there.
  CallGuard(Clock& clock, double limit_s, bool on_main_thread);

  void Begin(int64_t first, int64_t rows) { slot_.Begin(first, rows); }
  /// The call is over; an interruption that is on its way comes to nothing.
  void End();
  /// Asked by the handler of the signal: whether it is meant for the present call, and the first.
  bool TakeInterruption();
  /// "took longer than its timeout of 2 s".
  [[nodiscard]] std::string Complaint() const;

  // CallBracket: a row of a scalar function.
  void BeginRow(int64_t row) override { Begin(row, 1); }
  void EndRow() override;

  // WatchedCalls.
  [[nodiscard]] const CallSlot& slot() const override { return slot_; }
  [[nodiscard]] int64_t limit_ns() const override { return limit_ns_; }
  [[nodiscard]] bool can_interrupt() const override { return true; }
  void Interrupt(const CallSlot::Call& call) override;

 private:
  CallSlot slot_;
  double limit_s_;
  int64_t limit_ns_;
  bool on_main_thread_;
  pthread_t thread_;
  unsigned long ident_;
  nanobind::handle interrupted_class_;
  nanobind::handle timeout_class_;
  std::atomic<uint64_t> interrupted_ = 0;
  uint64_t raised_ = 0;
  bool exception_sent_ = false;  ///< With the GIL.
};

void BindCallGuard(nanobind::module_& module);

}  // namespace leman::python
