// How many processes the kernel has killed for want of memory: the only way to tell such a kill from any other.
#pragma once

#include <cstdint>
#include <string>

namespace leman {

/// The sum of the counters that this process can see: of its memory cgroup (version 2: memory.events, version 1:
/// memory.oom_control) and of the machine (/proc/vmstat). Only a difference means something. `root` is "/" but in
/// tests.
int64_t CountOomKills(const std::string& root = "/");

}  // namespace leman
