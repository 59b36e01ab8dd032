// A thread that does slow things for the job loop, and a bell that wakes the loop when they are done.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "job/job_runtime.h"

namespace leman {

/// Closures to be run by the job loop on its own thread; any thread may post. `fd` becomes readable when there are
/// some.
class LoopInbox {
 public:
  LoopInbox();
  LoopInbox(const LoopInbox&) = delete;
  LoopInbox& operator=(const LoopInbox&) = delete;
  ~LoopInbox();

  [[nodiscard]] int fd() const { return fd_; }
  void Post(std::function<void()> closure);
  /// Runs what was posted.
  void RunAll();

 private:
  int fd_;
  std::mutex mutex_;
  std::vector<std::function<void()>> closures_;
};

/// Runs closures one after the other on `threads` threads of its own. The destructor runs what was posted, then joins.
class BackgroundThreads final : public BackgroundWork {
 public:
  explicit BackgroundThreads(int threads);
  BackgroundThreads(const BackgroundThreads&) = delete;
  BackgroundThreads& operator=(const BackgroundThreads&) = delete;
  ~BackgroundThreads() override;

  void Post(std::function<void()> closure) override;

 private:
  void Run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> closures_;
  bool closing_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace leman
