// Which process on which machine: so that a record can be told to be of one that is gone.
#pragma once

#include <cstdint>
#include <string>

namespace leman {

struct ProcessIdentity {
  int64_t pid = 0;
  std::string host;
  std::string boot_id;      ///< Empty where the system does not tell.
  int64_t start_ticks = 0;  ///< Field 22 of /proc/<pid>/stat; 0 where it is not known.
};

ProcessIdentity ThisProcess();

/// Whether `process` certainly no longer runs. A process on another host, or one of which too little is known, does not
/// count as gone.
bool IsGone(const ProcessIdentity& process);

}  // namespace leman
