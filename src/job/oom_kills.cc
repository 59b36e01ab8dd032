#include "job/oom_kills.h"

#include <fstream>
#include <sstream>

namespace leman {
namespace {

// The number after "oom_kill" in a file of "name number" lines; 0 where there is none.
int64_t CounterIn(const std::string& path) {
  std::ifstream file(path);
  std::string name;
  int64_t value = 0;
  while (file >> name >> value) {
    if (name == "oom_kill") return value;
  }
  return 0;
}

}  // namespace

int64_t CountOomKills(const std::string& root) {
  int64_t kills = CounterIn(root + "proc/vmstat");
  const std::string version_one = root + "sys/fs/cgroup/memory";
  const std::string version_two = root + "sys/fs/cgroup";
  std::ifstream cgroups(root + "proc/self/cgroup");
  // "<number>:<controllers>:<path>"; version 2 has no controllers here. In a container the path may be the host's,
  // and the container's own group the top of the mount.
  for (std::string line; std::getline(cgroups, line);) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string path = line.substr(second + 1);
    if (controllers == ",,") {
      kills += CounterIn(std::string(version_two).append(path).append("/memory.events"));
      if (path != "/") kills += CounterIn(root + "sys/fs/cgroup/memory.events");
    } else if (controllers.find(",memory,") != std::string::npos) {
      kills += CounterIn(std::string(version_one).append(path).append("/memory.oom_control"));
      if (path != "/") kills += CounterIn(root + "sys/fs/cgroup/memory/memory.oom_control");
    }
  }
  return kills;
}

}  // namespace leman
