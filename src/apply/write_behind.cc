#include "apply/write_behind.h"

#include <utility>

namespace leman {
namespace {
constexpr size_t kMostPosted = 2;
}  // namespace

WriteBehind::~WriteBehind() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void WriteBehind::Post(int64_t held_bytes, std::function<void()> work) {
  std::unique_lock lock(mutex_);
  if (thread_.joinable() && thread_.get_id() == std::this_thread::get_id()) {
    lock.unlock();
    work();
    return;
  }
  changed_.wait(lock, [&] {
    if (posted_.empty()) return true;
    return posted_.size() < kMostPosted && held_bytes_ + held_bytes <= limit_bytes_;
  });
  posted_.push_back({held_bytes, std::move(work)});
  held_bytes_ += held_bytes;
  changed_.notify_all();
  if (!thread_.joinable()) thread_ = std::thread([this] { Run(); });
}

void WriteBehind::Wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return posted_.empty(); });
}

void WriteBehind::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return closing_ || !posted_.empty(); });
    if (posted_.empty()) return;
    std::function<void()> work = std::exchange(posted_.front().work, nullptr);
    lock.unlock();
    work();
    work = nullptr;  // What it keeps is gone before it counts as done.
    lock.lock();
    held_bytes_ -= posted_.front().held_bytes;
    posted_.pop_front();
    changed_.notify_all();
  }
}

}  // namespace leman
