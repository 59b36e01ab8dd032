#include "job/local_worker_pool.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

namespace leman {
namespace {

// Workers that ended in peace are never asked about.
constexpr size_t kMaxExits = 1000;

bool SendDescriptor(int socket, int fd) {
  char byte = 'w';
  iovec data{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  ssize_t sent = -1;
  do {
    sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent == 1;
}

}  // namespace

Result<int> LocalWorkerPool::Start(WorkerId) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return MakeError(ErrorKind::kResourceExhausted, "create a socket for a worker: ", std::strerror(errno));
  }
  const bool sent = SendDescriptor(control_fd_, ends[1]);
  ::close(ends[1]);
  if (!sent) {
    ::close(ends[0]);
    return MakeError(ErrorKind::kInternal, "the process that starts workers is gone");
  }
  return ends[0];
}

void LocalWorkerPool::Kill(WorkerId, int64_t pid) {
  while (ReadExits(0)) {
  }
  // The number of a process that has ended may belong to another one by now.
  if (pid > 0 && FindExit(pid) == exits_.end()) ::kill(static_cast<pid_t>(pid), SIGKILL);
}

LocalWorkerPool::Exits::iterator LocalWorkerPool::FindExit(int64_t pid) {
  return std::find_if(exits_.begin(), exits_.end(), [pid](const auto& exit) { return exit.first == pid; });
}

bool LocalWorkerPool::ReadExits(int timeout_ms) {
  pollfd waiting{control_fd_, POLLIN, 0};
  if (::poll(&waiting, 1, timeout_ms) <= 0) return false;
  std::array<char, 4096> bytes{};
  const ssize_t n = ::recv(control_fd_, bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (n <= 0) return false;
  unread_.append(bytes.data(), static_cast<size_t>(n));
  for (size_t end = unread_.find('\n'); end != std::string::npos; end = unread_.find('\n')) {
    char* rest = nullptr;
    const int64_t pid = std::strtoll(unread_.c_str(), &rest, 10);
    exits_.emplace_back(pid, static_cast<int>(std::strtol(rest, nullptr, 10)));
    if (exits_.size() > kMaxExits) exits_.pop_front();
    unread_.erase(0, end + 1);
  }
  return true;
}

std::string LocalWorkerPool::ExitReason(WorkerId, int64_t pid) {
  constexpr int kTries = 30;
  constexpr int kTryMs = 50;
  for (int i = 0; i < kTries; ++i) {
    if (const auto found = FindExit(pid); found != exits_.end()) {
      const int status = found->second;
      exits_.erase(found);
      return Describe(pid, status);
    }
    // One that never said hello is likely the last that ended.
    if (!ReadExits(kTryMs) && pid == 0 && !exits_.empty()) return DescribeWaitStatus(exits_.back().second);
  }
  return "its connection closed";
}

// A kill by signal 9 that coincides with one that the kernel counted is that one.
std::string LocalWorkerPool::Describe(int64_t pid, int status) {
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
    const int64_t kills = count_oom_kills_();
    if (std::exchange(oom_kills_, kills) < kills) {
      out_of_memory_.insert(pid);
      return "ran out of memory and was killed by the system (signal 9)";
    }
  }
  return DescribeWaitStatus(status);
}

std::string DescribeWaitStatus(int status) {
  if (WIFSIGNALED(status)) {
    return "killed by signal " + std::to_string(WTERMSIG(status)) + " (" + strsignal(WTERMSIG(status)) + ")";
  }
  if (WIFEXITED(status)) return "exited with code " + std::to_string(WEXITSTATUS(status));
  return "ended with status " + std::to_string(status);
}

}  // namespace leman
