// A thread that puts results away while the next ones are computed.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "table/write_queue.h"

namespace leman {

/// At most two things are posted and not done, and no more than `limit_bytes` of memory, unless one alone is larger.
class WriteBehind final : public WriteQueue {
 public:
  explicit WriteBehind(int64_t limit_bytes) : limit_bytes_(limit_bytes) {}
  WriteBehind(const WriteBehind&) = delete;
  WriteBehind& operator=(const WriteBehind&) = delete;
  /// Everything that was posted is done first.
  ~WriteBehind() override;

  /// From one thread at a time, or from what was posted.
  void Post(int64_t held_bytes, std::function<void()> work) override;
  /// Until everything that was posted is done.
  void Wait();

 private:
  struct Posted {
    int64_t held_bytes = 0;
    std::function<void()> work;
  };

  void Run();

  int64_t limit_bytes_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Posted> posted_;  ///< The first one is being done.
  int64_t held_bytes_ = 0;
  bool closing_ = false;
  std::thread thread_;
};

}  // namespace leman
