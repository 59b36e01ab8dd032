// The coordinator's door for workers that come from elsewhere.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "transport/handshake.h"
#include "transport/message.h"
#include "transport/tcp_socket.h"

namespace leman {

struct ListenOptions {
  TcpAddress address{"127.0.0.1", 0};
  std::string token;                             ///< kTokenBytes random bytes.
  int64_t handshake_timeout_ns = 5'000'000'000;  ///< For the proof and hello together.
  size_t max_handshakes = 256;                   ///< Connections that have not said hello; beyond, the oldest goes.
  int silence_ms = 4000;                         ///< See TuneForMessages.
};

/// A peer that has proved that it knows the token, and said hello.
struct Arrival {
  int fd = -1;  ///< The receiver's to close. -1 where the peer was refused for `refusal`.
  HelloMessage hello;
  std::string refusal;  ///< It knows the token, but what it said is not a hello of this version.
};

/// Never blocks. Whoever does not know the token gets nothing but a random challenge, and nothing that it sent is
/// parsed.
class WorkerListener {
 public:
  static Result<std::unique_ptr<WorkerListener>> Open(ListenOptions options);
  WorkerListener(const WorkerListener&) = delete;
  WorkerListener& operator=(const WorkerListener&) = delete;
  ~WorkerListener();

  /// Readable when Poll has something to do.
  [[nodiscard]] int fd() const { return epoll_fd_; }
  [[nodiscard]] uint16_t port() const { return port_; }
  /// Takes up and carries on handshakes; returns those that are complete.
  std::vector<Arrival> Poll(int64_t now_ns);
  /// Connections that were cut off because they did not know the token, were too slow or too many.
  [[nodiscard]] int64_t cut_off() const { return cut_off_; }

 private:
  struct Peer {
    int fd = -1;
    int64_t deadline_ns = 0;
    Handshake handshake;
  };

  WorkerListener(ListenOptions options, int listen_fd, int epoll_fd);
  void Accept(int64_t now_ns);
  [[nodiscard]] Handshake::Outcome Continue(Peer& peer) const;
  void CutOff(const Peer& peer);
  void Forget(int fd) const;

  ListenOptions options_;
  int listen_fd_;
  int epoll_fd_;
  uint16_t port_;
  std::list<Peer> peers_;  ///< Oldest first.
  int64_t cut_off_ = 0;
};

struct DialOptions {
  TcpAddress address;
  std::string token;
  int timeout_ms = 10'000;  ///< To connect.
  int silence_ms = 8000;
  int proof_timeout_ms = 30'000;  ///< For each answer of the coordinator, which may have much to do.
};

/// The worker's side: a connection to the coordinator, on which both have proved that they know the token, and hello is
/// next. kInvalidArgument where the other end does not know the token.
Result<int> DialCoordinator(const DialOptions& options);

}  // namespace leman
