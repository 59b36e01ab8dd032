// The memory of this process and of its machine, as Linux tells it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "apply/memory_watch.h"

namespace leman {

/// This process, by /proc/self/status; where the kernel lets the peak be set back (/proc/self/clear_refs), growth that
/// is over before it is read is seen, too.
class LinuxProcessMemory final : public ProcessMemory {
 public:
  /// `free_more` is called by Free before the heap is given back.
  explicit LinuxProcessMemory(std::function<void()> free_more) : free_more_(std::move(free_more)) {}
  Reading Read() override;
  void Free() override;

 private:
  std::function<void()> free_more_;
  int64_t resident_bytes_ = 0;  // As of the last reading.
};

/// What a process could still take, in bytes: the machine's available memory, less where a memory cgroup (version 1 or
/// 2) has a lower limit; nothing where the machine does not tell. `root` is "/" but in tests.
std::optional<int64_t> AvailableMemoryBytes(const std::string& root = "/");

/// The budget of each of `workers` on this machine: `given_bytes`, or where that is 0 the worker's share of what is
/// available, less a reserve; at least 512 MiB. 0: unknown.
int64_t WorkerMemoryBytes(int64_t given_bytes, int64_t workers, const std::string& root = "/");

}  // namespace leman
