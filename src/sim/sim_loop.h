// Virtual time, and threads that run one at a time in an order that a seed decides.
#pragma once

#include <ucontext.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <vector>

namespace leman::sim {

/// Memory for the stacks of fibers, used again from world to world.
class StackPool {
 public:
  static constexpr size_t kStackBytes = 256 << 10;

  std::unique_ptr<char[]> Take();  // NOLINT(*-avoid-c-arrays)
  void Give(std::unique_ptr<char[]> stack) { free_.push_back(std::move(stack)); }

 private:
  std::vector<std::unique_ptr<char[]>> free_;  // NOLINT(*-avoid-c-arrays)
};

using FiberId = int64_t;

/// Events in order of virtual time. Fibers are what threads are outside: each runs until it sleeps or blocks. One real
/// thread runs it all, so a world is the same every time.
class SimLoop {
 public:
  explicit SimLoop(StackPool& stacks) : stacks_(stacks) {}
  SimLoop(const SimLoop&) = delete;
  SimLoop& operator=(const SimLoop&) = delete;
  ~SimLoop();

  [[nodiscard]] int64_t now_ns() const { return now_ns_; }
  void At(int64_t time_ns, std::function<void()> event);
  FiberId Spawn(std::function<void()> body);

  // Of a fiber, about itself:
  [[nodiscard]] FiberId current() const { return current_; }
  /// Lets virtual time pass; Wake ends it early.
  void Sleep(int64_t ns);

  /// Ends the fiber's Sleep now; nothing where it has ended.
  void Wake(FiberId fiber);
  [[nodiscard]] bool finished(FiberId fiber) const { return !fibers_.contains(fiber); }
  /// Runs the next event; false where there is none. Not from a fiber.
  bool RunOne();
  [[nodiscard]] int64_t events_run() const { return events_run_; }

 private:
  struct Fiber {
    ucontext_t context{};
    std::unique_ptr<char[]> stack;  // NOLINT(*-avoid-c-arrays)
    std::function<void()> body;
    int64_t ticket = 0;  ///< Of the sleep that it is in; a wake-up with another one comes too late.
    bool done = false;
    void* fake_stack = nullptr;
  };
  struct Event {
    int64_t time_ns;
    int64_t serial;
    std::function<void()> run;
    bool operator<(const Event& other) const {
      return time_ns != other.time_ns ? time_ns > other.time_ns : serial > other.serial;
    }
  };

  static void Main(unsigned high, unsigned low);
  void Resume(FiberId id, int64_t ticket);
  void SwitchIn(Fiber& fiber);
  void SwitchOut(Fiber& fiber);

  StackPool& stacks_;
  int64_t now_ns_ = 0;
  int64_t serial_ = 0;
  int64_t events_run_ = 0;
  FiberId next_fiber_ = 1;
  FiberId current_ = 0;
  std::priority_queue<Event> events_;
  std::map<FiberId, std::unique_ptr<Fiber>> fibers_;
  ucontext_t main_{};
  void* main_fake_stack_ = nullptr;
  const void* main_stack_ = nullptr;
  size_t main_stack_bytes_ = 0;
};

}  // namespace leman::sim
