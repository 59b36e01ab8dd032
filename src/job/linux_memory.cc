#include "job/linux_memory.h"

#include <malloc.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <utility>

namespace leman {
namespace {

// The number behind `name` in a file of "name number …" lines; nothing where there is none.
std::optional<int64_t> NumberIn(const std::string& path, const std::string& name) {
  std::ifstream file(path);
  for (std::string word; file >> word; file.ignore(std::numeric_limits<std::streamsize>::max(), '\n')) {
    int64_t number = 0;
    if (word == name && file >> number) return number;
  }
  return std::nullopt;
}

// The number that is all of a file; nothing where it is a word, such as "max".
std::optional<int64_t> NumberOf(const std::string& path) {
  std::ifstream file(path);
  int64_t number = 0;
  if (file >> number) return number;
  return std::nullopt;
}

// What is left of a cgroup's limit: pages of files that nobody uses count as free.
std::optional<int64_t> LeftIn(const std::string& limit, const std::string& usage, const std::string& stat,
                              const std::string& reclaimable) {
  const auto most = NumberOf(limit);
  const auto used = NumberOf(usage);
  if (!most || !used) return std::nullopt;
  return std::max<int64_t>(0, *most - *used + NumberIn(stat, reclaimable).value_or(0));
}

void Lower(std::optional<int64_t>& least, std::optional<int64_t> value) {
  if (value) least = std::min(least.value_or(*value), *value);
}

}  // namespace

ProcessMemory::Reading LinuxProcessMemory::Read() {
  constexpr int64_t kKilo = 1024;
  std::ifstream status("/proc/self/status");
  int64_t peak = 0;
  int64_t resident = 0;
  int64_t anonymous = 0;
  for (std::string word; status >> word; status.ignore(std::numeric_limits<std::streamsize>::max(), '\n')) {
    if (word == "VmHWM:") status >> peak;
    if (word == "VmRSS:") status >> resident;
    if (word == "RssAnon:") {
      status >> anonymous;
      break;
    }
  }
  std::ofstream("/proc/self/clear_refs") << "5" << std::flush;  // Sets the peak back.
  const int64_t before = std::exchange(resident_bytes_, resident * kKilo);
  return {anonymous * kKilo, std::max<int64_t>(0, peak * kKilo - before)};
}

void LinuxProcessMemory::Free() {
  free_more_();
  ::malloc_trim(0);
}

std::optional<int64_t> AvailableMemoryBytes(const std::string& root) {
  constexpr int64_t kKilo = 1024;
  std::optional<int64_t> least;
  if (const auto kilo = NumberIn(root + "proc/meminfo", "MemAvailable:")) least = *kilo * kKilo;
  std::ifstream cgroups(root + "proc/self/cgroup");
  // "<number>:<controllers>:<path>"; version 2 has no controllers here. In a container the path may be the host's, and
  // the container's own group the top of the mount.
  for (std::string line; std::getline(cgroups, line);) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    std::string path = line.substr(second + 1);
    while (true) {  // The group, and those that it is in.
      const std::string suffix = path == "/" ? "/" : path + "/";
      if (controllers == ",,") {
        const std::string group = std::string(root).append("sys/fs/cgroup").append(suffix);
        Lower(least, LeftIn(group + "memory.max", group + "memory.current", group + "memory.stat", "inactive_file"));
      } else if (controllers.find(",memory,") != std::string::npos) {
        const std::string group = std::string(root).append("sys/fs/cgroup/memory").append(suffix);
        Lower(least, LeftIn(group + "memory.limit_in_bytes", group + "memory.usage_in_bytes", group + "memory.stat",
                            "total_inactive_file"));
      }
      if (path.size() <= 1 || path[0] != '/') break;
      path.resize(std::max<size_t>(1, path.rfind('/')));
    }
  }
  return least;
}

int64_t WorkerMemoryBytes(int64_t given_bytes, int64_t workers, const std::string& root) {
  if (given_bytes > 0) return given_bytes;
  constexpr double kShareOfAll = 0.8;
  constexpr int64_t kLeast = 512LL << 20;
  const auto available = AvailableMemoryBytes(root);
  if (!available) return 0;
  const double share =
      static_cast<double>(*available) * kShareOfAll / static_cast<double>(std::max<int64_t>(workers, 1));
  return std::max(kLeast, static_cast<int64_t>(share));
}

}  // namespace leman
