#include "job/process_identity.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <sstream>

namespace leman {
namespace {

std::string FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// The second field, the name, may hold spaces and is in parentheses.
int64_t StartTicksOf(int64_t pid) {
  const std::string stat = FirstLine("/proc/" + std::to_string(pid) + "/stat");
  const size_t after_name = stat.rfind(')');
  if (after_name == std::string::npos) return 0;
  std::istringstream fields(stat.substr(after_name + 1));
  std::string field;
  constexpr int kFirstField = 3;
  constexpr int kStartField = 22;
  for (int i = kFirstField; i <= kStartField; ++i) {
    if (!(fields >> field)) return 0;
  }
  return std::stoll(field);
}

std::string HostName() {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  return host.data();
}

std::string BootId() { return FirstLine("/proc/sys/kernel/random/boot_id"); }

}  // namespace

ProcessIdentity ThisProcess() { return {::getpid(), HostName(), BootId(), StartTicksOf(::getpid())}; }

bool IsGone(const ProcessIdentity& process) {
  if (process.host != HostName()) return false;
  if (!process.boot_id.empty() && process.boot_id != BootId()) return true;
  if (process.pid <= 0) return false;
  if (::kill(static_cast<pid_t>(process.pid), 0) != 0 && errno == ESRCH) return true;
  return process.start_ticks > 0 && StartTicksOf(process.pid) != process.start_ticks;
}

}  // namespace leman
