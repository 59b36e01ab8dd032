#include "transport/channel.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace leman {
namespace {
constexpr size_t kReadBytes = 64 << 10;
}  // namespace

Result<std::vector<Message>> FrameParser::Next() {
  const std::string_view bytes = std::string_view(buffer_).substr(start_);
  std::vector<Message> messages;
  if (bytes.size() < kFrameHeaderBytes) return messages;
  uint32_t size = 0;
  std::memcpy(&size, bytes.data(), sizeof size);
  if (size > kMaxPayloadBytes) return MakeError(ErrorKind::kCorrupt, "a message of ", size, " bytes is too large");
  if (bytes.size() < kFrameHeaderBytes + size) return messages;
  LEMAN_ASSIGN_OR_RETURN(Message message,
                         DecodePayload(static_cast<uint8_t>(bytes[4]), bytes.substr(kFrameHeaderBytes, size)));
  messages.push_back(std::move(message));
  start_ += kFrameHeaderBytes + size;
  if (start_ == buffer_.size() || start_ > kReadBytes) {
    buffer_.erase(0, start_);
    start_ = 0;
  }
  return messages;
}

ServerChannel::ServerChannel(int fd) : fd_(fd) { ::fcntl(fd_, F_SETFL, ::fcntl(fd_, F_GETFL) | O_NONBLOCK); }

ServerChannel::ServerChannel(ServerChannel&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      unsent_(std::move(other.unsent_)),
      sent_(other.sent_),
      parser_(std::move(other.parser_)) {}

ServerChannel::~ServerChannel() {
  if (fd_ >= 0) ::close(fd_);
}

void ServerChannel::Send(const Message& message) {
  unsent_ += EncodeFrame(message);
  Flush();
}

void ServerChannel::Flush() {
  while (wants_write()) {
    const ssize_t n = ::send(fd_, unsent_.data() + sent_, unsent_.size() - sent_, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) break;  // full, or the peer is gone: Receive will say so
    sent_ += static_cast<size_t>(n);
  }
  if (!wants_write()) {
    unsent_.clear();
    sent_ = 0;
  }
}

Result<std::vector<Message>> ServerChannel::Receive(bool* closed) {
  std::array<char, kReadBytes> bytes;
  while (true) {
    const ssize_t n = ::recv(fd_, bytes.data(), bytes.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    if (n <= 0) {
      *closed = true;
      break;
    }
    parser_.Append({bytes.data(), static_cast<size_t>(n)});
    if (static_cast<size_t>(n) < bytes.size()) break;
  }
  std::vector<Message> messages;
  while (true) {
    LEMAN_ASSIGN_OR_RETURN(std::vector<Message> next, parser_.Next());
    if (next.empty()) return messages;
    messages.push_back(std::move(next.front()));
  }
}

ClientChannel::ClientChannel(int fd) : fd_(fd), wake_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

ClientChannel::~ClientChannel() {
  if (fd_ >= 0) ::close(fd_);
  if (wake_fd_ >= 0) ::close(wake_fd_);
}

Status ClientChannel::Send(const Message& message) {
  const std::string frame = EncodeFrame(message);
  const std::lock_guard lock(send_mutex_);
  return SendLocked(frame);
}

Status ClientChannel::SendLocked(std::string_view frame) {
  size_t sent = 0;
  while (sent < frame.size()) {
    const ssize_t n = ::send(fd_, frame.data() + sent, frame.size() - sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return MakeError(ErrorKind::kNotFound, "the coordinator is gone: ", std::strerror(errno));
    sent += static_cast<size_t>(n);
  }
  return Ok();
}

void ClientChannel::SendIfIdle(const Message& message) {
  const std::unique_lock lock(send_mutex_, std::try_to_lock);
  if (!lock.owns_lock()) return;
  pollfd room{fd_, POLLOUT, 0};
  // A socket that says it is writable takes far more than the few bytes of such a message.
  if (::poll(&room, 1, 0) == 1 && (room.revents & POLLOUT) != 0) (void)SendLocked(EncodeFrame(message));
}

Result<Message> ClientChannel::Receive() {
  LEMAN_ASSIGN_OR_RETURN(std::optional<Message> message, ReceiveFor(-1));
  return std::move(*message);
}

Result<std::optional<Message>> ClientChannel::ReceiveFor(int timeout_ms) {
  std::array<char, kReadBytes> bytes;
  while (true) {
    LEMAN_ASSIGN_OR_RETURN(std::vector<Message> next, parser_.Next());
    if (!next.empty()) return std::optional<Message>(std::move(next.front()));
    std::array<pollfd, 2> waiting{{{fd_, POLLIN, 0}, {wake_fd_, POLLIN, 0}}};
    const int ready = ::poll(waiting.data(), waiting.size(), timeout_ms);
    if (ready < 0 && errno == EINTR) continue;
    if (waiting[1].revents != 0) return MakeError(ErrorKind::kCancelled, "receiving was interrupted");
    if (ready == 0) return std::optional<Message>();
    const ssize_t n = ::recv(fd_, bytes.data(), bytes.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return MakeError(ErrorKind::kNotFound, "the coordinator is gone");
    parser_.Append({bytes.data(), static_cast<size_t>(n)});
  }
}

void ClientChannel::Interrupt() {
  const uint64_t one = 1;
  (void)!::write(wake_fd_, &one, sizeof one);
}

}  // namespace leman
