// Port: storage work that goes on while the next values are computed.
#pragma once

#include <cstdint>
#include <functional>

namespace leman {

class WriteQueue {
 public:
  virtual ~WriteQueue() = default;
  /// Runs `work` after all that was posted before, one at a time, on a thread of the queue's own. Waits first where
  /// more is posted and not done than the queue may hold; `held_bytes`: of memory that `work` keeps until it is done.
  /// Called by work of the queue itself: runs it at once.
  virtual void Post(int64_t held_bytes, std::function<void()> work) = 0;
};

}  // namespace leman
