#include "transport/worker_listener.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace leman {
namespace {

bool Watch(int epoll_fd, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  return ::epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

Result<std::string> RandomNonce() {
  std::string nonce(kNonceBytes, '\0');
  if (::getentropy(nonce.data(), nonce.size()) == 0) return nonce;
  return MakeError(ErrorKind::kResourceExhausted, "no random bytes for a handshake: ", std::strerror(errno));
}

Error CoordinatorGone(std::string_view what) {
  return MakeError(ErrorKind::kNotFound, "the coordinator closed the connection", what);
}

Status SendAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return CoordinatorGone(std::string(": ") + std::strerror(errno));
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return Ok();
}

// Never takes a byte of what follows.
Result<std::string> ReceiveExactly(int fd, size_t size, int timeout_ms) {
  std::string bytes(size, '\0');
  size_t got = 0;
  while (got < size) {
    pollfd waiting{fd, POLLIN, 0};
    const int ready = ::poll(&waiting, 1, timeout_ms);
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) {
      return MakeError(ErrorKind::kNotFound, "the coordinator did not answer within ", timeout_ms, " ms");
    }
    const ssize_t n = ::recv(fd, bytes.data() + got, size - got, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return CoordinatorGone(" during the handshake");
    got += static_cast<size_t>(n);
  }
  return bytes;
}

// The worker's half of the handshake up to its hello.
Status ProveToken(int fd, const DialOptions& options) {
  LEMAN_ASSIGN_OR_RETURN(const std::string challenge, ReceiveExactly(fd, kNonceBytes, options.proof_timeout_ms));
  LEMAN_ASSIGN_OR_RETURN(const std::string nonce, RandomNonce());
  LEMAN_RETURN_IF_ERROR(SendAll(fd, nonce + WorkerProof(options.token, challenge, nonce)));
  LEMAN_ASSIGN_OR_RETURN(const std::string proof, ReceiveExactly(fd, kHmacBytes, options.proof_timeout_ms));
  if (EqualInConstantTime(proof, CoordinatorProof(options.token, challenge, nonce))) return Ok();
  return MakeError(ErrorKind::kInvalidArgument, "what listens at ", options.address.host, ":", options.address.port,
                   " is not the coordinator of this job");
}

}  // namespace

Result<std::unique_ptr<WorkerListener>> WorkerListener::Open(ListenOptions options) {
  if (options.token.size() != kTokenBytes) {
    return MakeError(ErrorKind::kInvalidArgument, "the token of a job has ", kTokenBytes, " bytes, not ",
                     options.token.size());
  }
  LEMAN_ASSIGN_OR_RETURN(const int listen_fd, ListenOn(options.address));
  const int epoll_fd = ::epoll_create1(EPOLL_CLOEXEC);
  auto listener = std::unique_ptr<WorkerListener>(new WorkerListener(std::move(options), listen_fd, epoll_fd));
  if (epoll_fd < 0 || !Watch(epoll_fd, listen_fd)) {
    return MakeError(ErrorKind::kResourceExhausted, "wait for workers: ", std::strerror(errno));
  }
  return listener;
}

WorkerListener::WorkerListener(ListenOptions options, int listen_fd, int epoll_fd)
    : options_(std::move(options)), listen_fd_(listen_fd), epoll_fd_(epoll_fd), port_(PortOf(listen_fd)) {}

WorkerListener::~WorkerListener() {
  for (const Peer& peer : peers_) ::close(peer.fd);
  if (epoll_fd_ >= 0) ::close(epoll_fd_);
  ::close(listen_fd_);
}

void WorkerListener::Forget(int fd) const { ::epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr); }

void WorkerListener::CutOff(const Peer& peer) {
  Forget(peer.fd);
  ::close(peer.fd);
  ++cut_off_;
}

void WorkerListener::Accept(int64_t now_ns) {
  for (size_t i = 0; i < options_.max_handshakes; ++i) {
    const int fd = ::accept4(listen_fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0 && (errno == EINTR || errno == ECONNABORTED)) continue;
    if (fd < 0) return;  // none is waiting, or there are no descriptors left: later
    auto challenge = RandomNonce();
    if (!challenge.ok() || !Watch(epoll_fd_, fd)) {
      ::close(fd);
      return;
    }
    peers_.push_back({fd, now_ns + options_.handshake_timeout_ns, Handshake(options_.token, std::move(*challenge))});
  }
}

std::vector<Arrival> WorkerListener::Poll(int64_t now_ns) {
  std::vector<Arrival> arrivals;
  Accept(now_ns);
  // There are few at any time, and each read of one that has nothing to say costs a microsecond.
  for (auto at = peers_.begin(); at != peers_.end();) {
    const Handshake::Outcome outcome = Continue(*at);
    if (outcome == Handshake::Outcome::kGoesOn && now_ns < at->deadline_ns) {
      ++at;
      continue;
    }
    if (outcome == Handshake::Outcome::kComplete) {
      Forget(at->fd);
      TuneForMessages(at->fd, options_.silence_ms);
      arrivals.push_back({at->fd, at->handshake.hello(), {}});
    } else {
      if (outcome == Handshake::Outcome::kRefused) arrivals.push_back({-1, {}, at->handshake.refusal()});
      CutOff(*at);
    }
    at = peers_.erase(at);
  }
  while (peers_.size() > options_.max_handshakes) {
    CutOff(peers_.front());
    peers_.pop_front();
  }
  return arrivals;
}

Handshake::Outcome WorkerListener::Continue(Peer& peer) const {
  while (true) {
    // A new connection has room for these few bytes; where it has not, something is wrong with it.
    if (!SendAll(peer.fd, peer.handshake.answer()).ok()) return Handshake::Outcome::kUnknown;
    std::array<char, kMaxHelloBytes> bytes;
    const ssize_t n = ::recv(peer.fd, bytes.data(), std::min(bytes.size(), peer.handshake.wanted()), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return Handshake::Outcome::kGoesOn;
    if (n <= 0) return Handshake::Outcome::kUnknown;
    const auto outcome = peer.handshake.Take({bytes.data(), static_cast<size_t>(n)});
    if (outcome != Handshake::Outcome::kGoesOn) return outcome;
  }
}

Result<int> DialCoordinator(const DialOptions& options) {
  if (options.token.size() != kTokenBytes) {
    return MakeError(ErrorKind::kInvalidArgument, "the token of a job has ", kTokenBytes, " bytes, not ",
                     options.token.size());
  }
  LEMAN_ASSIGN_OR_RETURN(const int fd, ConnectTo(options.address, options.timeout_ms));
  TuneForMessages(fd, options.silence_ms);
  Status proved = ProveToken(fd, options);
  if (proved.ok()) return fd;
  ::close(fd);
  return proved.error();
}

}  // namespace leman
