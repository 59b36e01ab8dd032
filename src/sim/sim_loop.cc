#include "sim/sim_loop.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

// AddressSanitizer has to be told of stacks that it did not make.
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#define LEMAN_SIM_START_SWITCH(save, bottom, size) __sanitizer_start_switch_fiber(save, bottom, size)
#define LEMAN_SIM_FINISH_SWITCH(save, bottom, size) __sanitizer_finish_switch_fiber(save, bottom, size)
#else
#define LEMAN_SIM_START_SWITCH(save, bottom, size) (void)0
#define LEMAN_SIM_FINISH_SWITCH(save, bottom, size) (void)0
#endif

namespace leman::sim {

std::unique_ptr<char[]> StackPool::Take() {  // NOLINT(*-avoid-c-arrays)
  if (free_.empty()) return std::unique_ptr<char[]>(new char[kStackBytes]);
  auto stack = std::move(free_.back());
  free_.pop_back();
  return stack;
}

SimLoop::~SimLoop() {
  // A fiber that is not done holds objects on its stack that would never be destroyed: a defect of the simulator.
  if (!fibers_.empty()) std::abort();
}

void SimLoop::At(int64_t time_ns, std::function<void()> event) {
  events_.push({std::max(time_ns, now_ns_), ++serial_, std::move(event)});
}

FiberId SimLoop::Spawn(std::function<void()> body) {
  const FiberId id = next_fiber_++;
  auto fiber = std::make_unique<Fiber>();
  fiber->body = std::move(body);
  fiber->stack = stacks_.Take();
  ::getcontext(&fiber->context);
  fiber->context.uc_stack.ss_sp = fiber->stack.get();
  fiber->context.uc_stack.ss_size = StackPool::kStackBytes;
  fiber->context.uc_link = nullptr;
  const auto bits = reinterpret_cast<uintptr_t>(this);
  ::makecontext(&fiber->context, reinterpret_cast<void (*)()>(&SimLoop::Main), 2, static_cast<unsigned>(bits >> 32),
                static_cast<unsigned>(bits));
  fibers_[id] = std::move(fiber);
  At(now_ns_, [this, id] { Resume(id, 0); });
  return id;
}

void SimLoop::Main(unsigned high, unsigned low) {
  auto* loop = reinterpret_cast<SimLoop*>((static_cast<uintptr_t>(high) << 32) | low);
  LEMAN_SIM_FINISH_SWITCH(nullptr, &loop->main_stack_, &loop->main_stack_bytes_);
  Fiber& fiber = *loop->fibers_.at(loop->current_);
  std::exchange(fiber.body, nullptr)();
  fiber.done = true;
  LEMAN_SIM_START_SWITCH(nullptr, loop->main_stack_, loop->main_stack_bytes_);
  ::setcontext(&loop->main_);
}

void SimLoop::SwitchIn(Fiber& fiber) {
  LEMAN_SIM_START_SWITCH(&main_fake_stack_, fiber.stack.get(), StackPool::kStackBytes);
  ::swapcontext(&main_, &fiber.context);
  LEMAN_SIM_FINISH_SWITCH(main_fake_stack_, nullptr, nullptr);
}

void SimLoop::SwitchOut(Fiber& fiber) {
  LEMAN_SIM_START_SWITCH(&fiber.fake_stack, main_stack_, main_stack_bytes_);
  ::swapcontext(&fiber.context, &main_);
  LEMAN_SIM_FINISH_SWITCH(fiber.fake_stack, &main_stack_, &main_stack_bytes_);
}

void SimLoop::Resume(FiberId id, int64_t ticket) {
  const auto found = fibers_.find(id);
  if (found == fibers_.end() || found->second->ticket != ticket) return;
  current_ = id;
  SwitchIn(*found->second);
  current_ = 0;
  if (!found->second->done) return;
  stacks_.Give(std::move(found->second->stack));
  fibers_.erase(found);
}

void SimLoop::Sleep(int64_t ns) {
  const FiberId id = current_;
  Fiber& fiber = *fibers_.at(id);
  const int64_t ticket = ++fiber.ticket;
  At(now_ns_ + std::max<int64_t>(0, ns), [this, id, ticket] { Resume(id, ticket); });
  SwitchOut(fiber);
  ++fiber.ticket;
}

void SimLoop::Wake(FiberId fiber) {
  const auto found = fibers_.find(fiber);
  if (found == fibers_.end() || fiber == current_) return;
  const int64_t ticket = found->second->ticket;
  At(now_ns_, [this, fiber, ticket] { Resume(fiber, ticket); });
}

bool SimLoop::RunOne() {
  if (events_.empty()) return false;
  // The queue's top is const; it is popped before anything can look at it again.
  Event event = std::move(const_cast<Event&>(events_.top()));
  events_.pop();
  now_ns_ = event.time_ns;
  ++events_run_;
  event.run();
  return true;
}

}  // namespace leman::sim
