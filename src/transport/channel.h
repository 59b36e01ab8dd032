// A socket that carries messages.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "transport/message.h"

namespace leman {

/// Cuts a stream of bytes into messages.
class FrameParser {
 public:
  void Append(std::string_view bytes) { buffer_.append(bytes); }
  /// The next complete message; an empty vector where more bytes are needed (0 or 1 elements).
  Result<std::vector<Message>> Next();

 private:
  std::string buffer_;
  size_t start_ = 0;
};

/// The coordinator's end: never blocks. Owns the descriptor.
class ServerChannel {
 public:
  explicit ServerChannel(int fd);
  ServerChannel(ServerChannel&& other) noexcept;
  ServerChannel(const ServerChannel&) = delete;
  ServerChannel& operator=(const ServerChannel&) = delete;
  ServerChannel& operator=(ServerChannel&&) = delete;
  ~ServerChannel();

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] bool wants_write() const { return sent_ < unsent_.size(); }
  /// Queues a message and sends what the socket takes now.
  void Send(const Message& message);
  void Flush();
  /// What has arrived. `*closed` is set when the peer is gone; messages that came before are still returned.
  Result<std::vector<Message>> Receive(bool* closed);

 private:
  int fd_;
  std::string unsent_;
  size_t sent_ = 0;
  FrameParser parser_;
};

/// The worker's end: blocks. Send may be called from several threads; receiving from one. Owns the descriptor.
class ClientChannel {
 public:
  explicit ClientChannel(int fd);
  ClientChannel(const ClientChannel&) = delete;
  ClientChannel& operator=(const ClientChannel&) = delete;
  ~ClientChannel();

  Status Send(const Message& message);
  /// Sends where that does not mean to wait for anybody; otherwise bytes are on their way already.
  void SendIfIdle(const Message& message);
  /// Waits for a message; kNotFound when the coordinator is gone.
  Result<Message> Receive();
  /// Waits at most `timeout_ms` (-1: for ever); nothing where no message came in that time. kCancelled after Interrupt.
  Result<std::optional<Message>> ReceiveFor(int timeout_ms);
  /// Ends the present and all further ReceiveFor; from any thread.
  void Interrupt();

 private:
  Status SendLocked(std::string_view frame);

  int fd_;
  int wake_fd_;
  std::mutex send_mutex_;
  FrameParser parser_;
};

}  // namespace leman
