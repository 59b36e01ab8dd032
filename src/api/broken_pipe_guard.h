// Keeps a broken pipe from ending the program.
#pragma once

#include <signal.h>

namespace leman::api {

/// While it lives, a write to a closed pipe or socket in this thread is an error and no SIGPIPE: Python relies on that,
/// and the program may have left SIGPIPE at its default. The program's handlers are not touched.
class BrokenPipeGuard {
 public:
  BrokenPipeGuard();
  ~BrokenPipeGuard();
  BrokenPipeGuard(const BrokenPipeGuard&) = delete;
  BrokenPipeGuard& operator=(const BrokenPipeGuard&) = delete;

 private:
  bool was_blocked_;
  bool was_pending_;
};

}  // namespace leman::api
