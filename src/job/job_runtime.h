// Port: how a job waits, works on several things at once, and finds names that nobody else has.
#pragma once

#include <poll.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace leman {

/// Runs closures behind the job loop's back, in the order in which they were posted. The destructor returns when all
/// have run.
class BackgroundWork {
 public:
  virtual ~BackgroundWork() = default;
  virtual void Post(std::function<void()> closure) = 0;
};

class JobRuntime {
 public:
  virtual ~JobRuntime() = default;
  /// As ::poll: until one of `polled` is ready or `timeout_ms` have passed.
  virtual void Wait(std::vector<pollfd>& polled, int timeout_ms) = 0;
  /// Runs at most `threads` closures at a time.
  virtual std::unique_ptr<BackgroundWork> StartThreads(int threads) = 0;
  virtual uint64_t RandomBits() = 0;
};

/// The operating system's: poll, threads, its source of randomness. Holds no state.
JobRuntime& SystemRuntime();

}  // namespace leman
