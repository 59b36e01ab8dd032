#include "job/background.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

namespace leman {

LoopInbox::LoopInbox() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

LoopInbox::~LoopInbox() { ::close(fd_); }

void LoopInbox::Post(std::function<void()> closure) {
  {
    const std::lock_guard lock(mutex_);
    closures_.push_back(std::move(closure));
  }
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = ::write(fd_, &one, sizeof one);
}

void LoopInbox::RunAll() {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t n = ::read(fd_, &count, sizeof count);
  std::vector<std::function<void()>> closures;
  {
    const std::lock_guard lock(mutex_);
    closures = std::exchange(closures_, {});
  }
  for (const auto& closure : closures) closure();
}

BackgroundThreads::BackgroundThreads(int threads) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Run(); });
}

BackgroundThreads::~BackgroundThreads() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    changed_.notify_all();
  }
  for (std::thread& thread : threads_) thread.join();
}

void BackgroundThreads::Post(std::function<void()> closure) {
  const std::lock_guard lock(mutex_);
  closures_.push_back(std::move(closure));
  changed_.notify_one();
}

void BackgroundThreads::Run() {
  while (true) {
    std::function<void()> closure;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return closing_ || !closures_.empty(); });
      if (closures_.empty()) return;
      closure = std::move(closures_.front());
      closures_.pop_front();
    }
    closure();
  }
}

}  // namespace leman
