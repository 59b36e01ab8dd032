#include "apply/memory_watch.h"

#include <algorithm>

namespace leman {
namespace {
// Reading takes some 50 microseconds; a process needs this long to use some ten MB more.
constexpr int64_t kReadEveryNs = 10'000'000;
}  // namespace

MemoryWatch::MemoryWatch(int64_t budget_bytes, int64_t threads, ProcessMemory& memory, Clock& clock)
    : budget_(budget_bytes, threads), memory_(memory), clock_(clock) {
  used_bytes_ = memory_.Read().used_bytes;
}

int64_t MemoryWatch::RowsFor(int64_t wanted) {
  const std::lock_guard lock(mutex_);
  return budget_.RowsFor(wanted, used_bytes_);
}

void MemoryWatch::OnCall(int64_t rows) {
  const std::lock_guard lock(mutex_);
  rows_since_ = std::max(rows_since_, rows);
  const int64_t now = clock_.MonotonicNs();
  if (now - read_ns_ < kReadEveryNs) return;
  read_ns_ = now;
  const ProcessMemory::Reading reading = memory_.Read();
  used_bytes_ = reading.used_bytes;
  budget_.OnCalls(rows_since_, reading.growth_bytes, used_bytes_);
  rows_since_ = 0;
}

bool MemoryWatch::Crowded() {
  if (worn_out_) return true;
  const std::lock_guard lock(mutex_);
  return budget_.Crowded(used_bytes_);
}

bool MemoryWatch::Relieve() {
  if (worn_out_) return false;
  memory_.Free();
  const std::lock_guard lock(mutex_);
  used_bytes_ = memory_.Read().used_bytes;
  if (budget_.Crowded(used_bytes_)) worn_out_ = true;
  return !worn_out_;
}

int64_t MemoryWatch::used_bytes() {
  const std::lock_guard lock(mutex_);
  return used_bytes_;
}

}  // namespace leman
