// Port: starts worker processes and says how they ended.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "schedule/command.h"

namespace leman {

/// What a pool has to tell that nobody asked for.
struct PoolNews {
  enum class Kind {
    kConnected,  ///< A worker that Start promised has said hello on `fd`, which is the receiver's now.
    kLost,       ///< A worker that Start promised will not come; `text` says why.
    kLeaving,    ///< The machine of a connected worker is about to go.
    kNote,       ///< `text` is worth a line in the job's record.
    kFailed,     ///< No worker will ever come; `text` says why and what to do.
  };
  Kind kind = Kind::kNote;
  WorkerId worker = 0;
  int fd = -1;
  int64_t pid = 0;
  std::string text;
};

/// How workers at the other end of a network are told from dead ones; nanoseconds, 0: a closed connection is enough.
struct Heartbeat {
  int64_t beat_ns = 0;   ///< Both ends say something this often.
  int64_t lease_ns = 0;  ///< A worker that was silent for this long counts as lost.
};

class WorkerPool {
 public:
  virtual ~WorkerPool() = default;
  /// Whether all workers run on the coordinator's machine.
  [[nodiscard]] virtual bool on_this_machine() const { return true; }
  /// Starts a worker and returns a stream socket, owned by the caller, on which it will say hello. Does not wait for
  /// it. kComesLater: the worker says hello elsewhere, and Poll will tell.
  virtual Result<int> Start(WorkerId worker) = 0;
  /// Ends a worker at once, `pid` on its machine; harmless if it is gone. `pid` is 0 where it never said hello.
  virtual void Kill(WorkerId worker, int64_t pid) = 0;
  /// Lets go of a worker that was told to stop and has nothing in hand.
  virtual void Release(WorkerId) {}
  /// How a worker's process ended, e.g. "killed by signal 9 (Killed)"; waits a moment for the news. `pid` as of Kill.
  virtual std::string ExitReason(WorkerId worker, int64_t pid) = 0;

  /// Whether the system killed `pid`, of which ExitReason was told, since memory ran out; false where nobody knows.
  virtual bool WasOutOfMemory(int64_t) { return false; }

  static constexpr int kComesLater = -1;
  /// A descriptor that is readable when Poll has something to do; -1: it never has.
  [[nodiscard]] virtual int fd() const { return -1; }
  /// Called often, and whenever fd() is readable.
  virtual std::vector<PoolNews> Poll() { return {}; }
  [[nodiscard]] virtual Heartbeat heartbeat() const { return {}; }
};

}  // namespace leman
