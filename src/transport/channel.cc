#include "transport/channel.h"

#include <fcntl.h>
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

ClientChannel::~ClientChannel() {
  if (fd_ >= 0) ::close(fd_);
}

Status ClientChannel::Send(const Message& message) {
  const std::string frame = EncodeFrame(message);
  const std::lock_guard lock(send_mutex_);
  size_t sent = 0;
  while (sent < frame.size()) {
    const ssize_t n = ::send(fd_, frame.data() + sent, frame.size() - sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return MakeError(ErrorKind::kNotFound, "the coordinator is gone: ", std::strerror(errno));
    sent += static_cast<size_t>(n);
  }
  return Ok();
}

Result<Message> ClientChannel::Receive() {
  std::array<char, kReadBytes> bytes;
  while (true) {
    LEMAN_ASSIGN_OR_RETURN(std::vector<Message> next, parser_.Next());
    if (!next.empty()) return std::move(next.front());
    const ssize_t n = ::recv(fd_, bytes.data(), bytes.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return MakeError(ErrorKind::kNotFound, "the coordinator is gone");
    parser_.Append({bytes.data(), static_cast<size_t>(n)});
  }
}

}  // namespace leman
