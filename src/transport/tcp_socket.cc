#include "transport/tcp_socket.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <thread>

namespace leman {
namespace {

constexpr int kBacklog = 1024;
constexpr int kRetryMs = 100;

using Addresses = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

Result<Addresses> Resolve(const TcpAddress& address, int flags) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(address.port);
  const int code = ::getaddrinfo(address.host.c_str(), port.c_str(), &hints, &found);
  if (code != 0) {
    return MakeError(ErrorKind::kInvalidArgument, "host '", address.host, "': ", ::gai_strerror(code));
  }
  return Addresses(found, &::freeaddrinfo);
}

std::string Text(const TcpAddress& address) { return address.host + ":" + std::to_string(address.port); }

// A connected socket, or -1 and errno.
int ConnectOnce(const addrinfo& to, int timeout_ms) {
  const int fd = ::socket(to.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  int error = 0;
  if (::connect(fd, to.ai_addr, to.ai_addrlen) != 0) error = errno;
  if (error == EINPROGRESS) {
    pollfd waiting{fd, POLLOUT, 0};
    error = ETIMEDOUT;
    if (::poll(&waiting, 1, timeout_ms) == 1) {
      socklen_t size = sizeof error;
      ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    }
  }
  if (error == 0) {
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    return fd;
  }
  ::close(fd);
  errno = error;
  return -1;
}

}  // namespace

Result<int> ListenOn(const TcpAddress& address) {
  LEMAN_ASSIGN_OR_RETURN(const Addresses found, Resolve(address, AI_PASSIVE));
  std::string why;
  for (const addrinfo* at = found.get(); at != nullptr; at = at->ai_next) {
    const int fd = ::socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && ::bind(fd, at->ai_addr, at->ai_addrlen) == 0 && ::listen(fd, kBacklog) == 0) return fd;
    why = std::strerror(errno);
    if (fd >= 0) ::close(fd);
  }
  return MakeError(ErrorKind::kInvalidArgument, "listen on ", Text(address), ": ", why);
}

uint16_t PortOf(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  if (address.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
  return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

Result<int> ConnectTo(const TcpAddress& address, int timeout_ms) {
  using std::chrono::steady_clock;
  const auto deadline = steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  std::string why = "no time to try";
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - steady_clock::now()).count();
    if (left <= 0) break;
    LEMAN_ASSIGN_OR_RETURN(const Addresses found, Resolve(address, 0));
    for (const addrinfo* at = found.get(); at != nullptr; at = at->ai_next) {
      const int fd = ConnectOnce(*at, static_cast<int>(left));
      if (fd >= 0) return fd;
      why = std::strerror(errno);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(std::min<int64_t>(kRetryMs, left)));
  }
  return MakeError(ErrorKind::kNotFound, "no connection to ", Text(address), " within ", timeout_ms, " ms: ", why);
}

void TuneForMessages(int fd, int timeout_ms) {
  const int on = 1;
  const auto timeout = static_cast<unsigned int>(timeout_ms);
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof timeout);
}

}  // namespace leman
