#include "apply/call_watch.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace leman {

CallWatch::CallWatch(Options options, Clock& clock, Handler interrupt, Handler give_up)
    : options_(options), clock_(clock), interrupt_(std::move(interrupt)), give_up_(std::move(give_up)) {
  if (options_.limit_ns > 0) thread_ = std::thread([this] { Run(); });
}

CallWatch::~CallWatch() {
  closing_ = true;
  if (thread_.joinable()) thread_.join();
}

void CallWatch::Add(size_t thread, const CallSlot& slot) {
  const std::lock_guard lock(mutex_);
  watched_.push_back({thread, slot});
}

void CallWatch::Run() {
  constexpr int64_t kLongestNs = 20'000'000;
  constexpr int64_t kShortestNs = 1'000'000;
  const int64_t pause_ns = std::clamp(options_.limit_ns / 10, kShortestNs, kLongestNs);
  while (!closing_) {
    std::this_thread::sleep_for(std::chrono::nanoseconds(pause_ns));
    Look();
  }
}

void CallWatch::Look() {
  const std::lock_guard lock(mutex_);
  for (Watched& watched : watched_) {
    CallSlot::Call call = watched.slot.current();
    if (call.number == 0) continue;
    const int64_t now_ns = clock_.MonotonicNs();
    const bool is_same = watched.call.number == call.number;
    if (!is_same || watched.call.first != call.first || watched.call.rows != call.rows) {
      if (is_same) call.since_ns = now_ns;  // When it went on to these rows nobody saw.
      watched.call = call;
      watched.interruptions = 0;
      watched.given_up = false;
    }
    const int64_t late_ns = now_ns - watched.call.since_ns - options_.limit_ns;
    if (late_ns < 0) continue;
    if (late_ns >= options_.interrupt_again_ns * watched.interruptions && watched.interruptions < 2) {
      ++watched.interruptions;
      interrupt_(watched.thread, call);
    }
    if (late_ns >= options_.give_up_after_ns && !std::exchange(watched.given_up, true)) give_up_(watched.thread, call);
  }
}

}  // namespace leman
