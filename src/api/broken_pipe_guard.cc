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
  ::pthread_sigmask(SIG_BLOCK, &sigpipe, &before_);
}

BrokenPipeGuard::~BrokenPipeGuard() {
  if (!was_pending_ && IsPending()) {
    const sigset_t sigpipe = OnlySigpipe();
    const timespec at_once{};
    ::sigtimedwait(&sigpipe, nullptr, &at_once);
  }
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

}  // namespace leman::api
