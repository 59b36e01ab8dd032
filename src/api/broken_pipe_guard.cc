#include "api/broken_pipe_guard.h"

#include <pthread.h>

#include <ctime>

namespace leman::api {
namespace {

sigset_t OnlySigpipe() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGPIPE);
  return set;
}

bool IsPending() {
  sigset_t pending;
  ::sigpending(&pending);
  return ::sigismember(&pending, SIGPIPE) == 1;
}

}  // namespace

BrokenPipeGuard::BrokenPipeGuard() : was_pending_(IsPending()) {
  const sigset_t sigpipe = OnlySigpipe();
  sigset_t before;
  ::pthread_sigmask(SIG_BLOCK, &sigpipe, &before);
  was_blocked_ = ::sigismember(&before, SIGPIPE) == 1;
}

BrokenPipeGuard::~BrokenPipeGuard() {
  const sigset_t sigpipe = OnlySigpipe();
  if (!was_pending_ && IsPending()) {
    const timespec at_once{};
    ::sigtimedwait(&sigpipe, nullptr, &at_once);
  }
  if (!was_blocked_) ::pthread_sigmask(SIG_UNBLOCK, &sigpipe, nullptr);
}

}  // namespace leman::api
