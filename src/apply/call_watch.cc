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
    const CallSlot::Call call = watched.slot.current();
    if (call.number == 0) continue;
    if (std::exchange(watched.call, call.number) != call.number) {
      watched.interruptions = 0;
      watched.given_up = false;
    }
    const int64_t late_ns = clock_.MonotonicNs() - call.since_ns - options_.limit_ns;
    if (late_ns < 0) continue;
    if (late_ns >= options_.interrupt_again_ns * watched.interruptions && watched.interruptions < 2) {
      ++watched.interruptions;
      interrupt_(watched.thread, call);
    }
    if (late_ns >= options_.give_up_after_ns && !std::exchange(watched.given_up, true)) give_up_(watched.thread, call);
  }
}

}  // namespace leman
