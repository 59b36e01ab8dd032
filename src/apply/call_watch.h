// Ends calls of the user's function that take longer than they may.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "apply/call_slot.h"

namespace leman {

/// A thread that looks at calls. One that is longer on the same rows than it may is interrupted, and again a little
/// later, since an interruption that comes just before a blocking call is lost; one that does not come back then is
/// given up.
class CallWatch {
 public:
  struct Options {
    int64_t limit_ns = 0;
    int64_t interrupt_again_ns = 200'000'000;
    int64_t give_up_after_ns = 1'000'000'000;  ///< After the limit.
  };
  using Handler = std::function<void(size_t thread, const CallSlot::Call& call)>;

  /// The handlers run on the watch's own thread; `give_up` is called once for a call and need not return.
  CallWatch(Options options, Clock& clock, Handler interrupt, Handler give_up);
  CallWatch(const CallWatch&) = delete;
  CallWatch& operator=(const CallWatch&) = delete;
  ~CallWatch();

  /// Watches one more thread, known to the handlers by its number; the slot outlives this.
  void Add(size_t thread, const CallSlot& slot);
  /// One look at every slot; for tests without the thread.
  void Look();

 private:
  struct Watched {
    size_t thread;
    const CallSlot& slot;
    CallSlot::Call call = {};  // since when it has been on these rows
    int interruptions = 0;
    bool given_up = false;
  };

  void Run();

  Options options_;
  Clock& clock_;
  Handler interrupt_;
  Handler give_up_;
  std::mutex mutex_;
  std::vector<Watched> watched_;
  std::atomic<bool> closing_ = false;
  std::thread thread_;
};

}  // namespace leman
