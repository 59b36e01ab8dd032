#include "transport/handshake.h"

#include <cstring>
#include <utility>

namespace leman {
namespace {

// Takes as long for any wrong token as for the right one.
bool SameToken(std::string_view given, std::string_view token) {
  unsigned char difference = given.size() == token.size() ? 0 : 1;
  for (size_t i = 0; i < given.size() && i < token.size(); ++i) {
    difference |= static_cast<unsigned char>(given[i]) ^ static_cast<unsigned char>(token[i]);
  }
  return difference == 0;
}

}  // namespace

Handshake::Outcome Handshake::Take(std::string_view bytes) {
  bytes_.append(bytes);
  return bytes_.size() < step_bytes_ ? Outcome::kGoesOn : Advance();
}

Handshake::Outcome Handshake::Refuse(std::string why) {
  refusal_ = std::move(why);
  return Outcome::kRefused;
}

Handshake::Outcome Handshake::Advance() {
  const std::string bytes = std::exchange(bytes_, {});
  if (step_ == Step::kToken) {
    if (!SameToken(bytes, token_)) return Outcome::kUnknown;
    step_ = Step::kHeader;
    step_bytes_ = kFrameHeaderBytes;
    return Outcome::kGoesOn;
  }
  if (step_ == Step::kHeader) {
    uint32_t size = 0;
    std::memcpy(&size, bytes.data(), sizeof size);
    if (static_cast<uint8_t>(bytes[4]) != kHelloType) return Refuse("it began with something else than hello");
    if (size < sizeof(int64_t) || size > kMaxHelloBytes) return Refuse("its hello has an impossible size");
    step_ = Step::kHello;
    step_bytes_ = size;
    return Outcome::kGoesOn;
  }
  int64_t protocol = 0;
  std::memcpy(&protocol, bytes.data(), sizeof protocol);
  if (protocol != kProtocolVersion) {
    return Refuse("it speaks version " + std::to_string(protocol) + " of the protocol, not " +
                  std::to_string(kProtocolVersion) + "; install the same version of leman on both");
  }
  Result<Message> message = DecodePayload(kHelloType, bytes);
  if (!message.ok()) return Refuse(message.error().message);
  hello_ = std::get<HelloMessage>(std::move(message.value()));
  return Outcome::kComplete;
}

}  // namespace leman
