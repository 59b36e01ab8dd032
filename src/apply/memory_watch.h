// Keeps the threads of one worker within its memory.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "apply/memory_budget.h"
#include "base/clock.h"

namespace leman {

/// Port: the memory of this process, all in bytes.
class ProcessMemory {
 public:
  struct Reading {
    int64_t used_bytes = 0;    ///< That only ending the process would give back: no pages of files.
    int64_t growth_bytes = 0;  ///< How much more was held at the height since the last reading than then.
  };
  virtual ~ProcessMemory() = default;
  virtual Reading Read() = 0;
  /// Gives back what is free but kept.
  virtual void Free() = 0;
};

/// Shared by the appliers of a worker.
class MemoryWatch {
 public:
  /// `memory` and `clock` outlive the watch.
  MemoryWatch(int64_t budget_bytes, int64_t threads, ProcessMemory& memory, Clock& clock);

  /// Rows that the next call may have, at most `wanted`.
  int64_t RowsFor(int64_t wanted);
  /// A call on `rows` rows has ended. Memory is read where enough time has passed for a call to have used much.
  void OnCall(int64_t rows);
  /// Whether everything in hand should be put away, and Relieve be called.
  bool Crowded();
  /// Frees what is free; false where that does not suffice and the worker is to end: nothing may be begun any more.
  bool Relieve();

  /// Relieve was in vain.
  [[nodiscard]] bool worn_out() const { return worn_out_; }
  [[nodiscard]] int64_t used_bytes();
  [[nodiscard]] int64_t budget_bytes() const { return budget_.budget_bytes(); }

 private:
  std::mutex mutex_;
  MemoryBudget budget_;
  ProcessMemory& memory_;
  Clock& clock_;
  int64_t used_bytes_ = 0;
  int64_t rows_since_ = 0;  // The largest call since the last reading.
  int64_t read_ns_ = 0;
  std::atomic<bool> worn_out_ = false;
};

}  // namespace leman
