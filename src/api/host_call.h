// What holds around each call into the host.
#pragma once

#include "api/broken_pipe_guard.h"
#include "api/process_host.h"

namespace leman::api {

/// Runs `call`, which returns a Result, unless this process was forked from the host's.
template <typename Call>
auto HostCall(const Call& call) -> decltype(call()) {
  if (const Status here = CheckNotForked(); !here.ok()) return here.error();
  const BrokenPipeGuard no_sigpipe;
  return call();
}

}  // namespace leman::api
