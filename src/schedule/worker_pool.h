// Port: starts worker processes and says how they ended.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "schedule/command.h"

namespace leman {

class WorkerPool {
 public:
  virtual ~WorkerPool() = default;
  /// Starts a worker and returns a stream socket, owned by the caller, on which it will say hello. Does not wait for
  /// it.
  virtual Result<int> Start(WorkerId worker) = 0;
  /// Ends the process `pid` of a worker at once; harmless if it is gone.
  virtual void Kill(int64_t pid) = 0;
  /// How the process `pid` ended, e.g. "killed by signal 9 (Killed)"; waits a moment for the news. `pid` is 0 where the
  /// worker never said hello.
  virtual std::string ExitReason(int64_t pid) = 0;
};

}  // namespace leman
