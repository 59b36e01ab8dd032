#include "transport/handshake.h"

#include <cstring>
#include <utility>

namespace leman {
namespace {

std::string Proof(std::string_view who, std::string_view token, std::string_view challenge, std::string_view nonce) {
  std::string said(who);
  said.append(challenge);
  said.append(nonce);
  return HmacSha256(token, said);
}

}  // namespace

std::string WorkerProof(std::string_view token, std::string_view challenge, std::string_view worker_nonce) {
  return Proof("leman worker 3:", token, challenge, worker_nonce);
}

std::string CoordinatorProof(std::string_view token, std::string_view challenge, std::string_view worker_nonce) {
  return Proof("leman coordinator 3:", token, challenge, worker_nonce);
}

std::string Handshake::answer() { return std::exchange(answer_, {}); }

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
  if (step_ == Step::kClaim) {
    const std::string_view nonce = std::string_view(bytes).substr(0, kNonceBytes);
    const std::string_view proof = std::string_view(bytes).substr(kNonceBytes);
    if (!EqualInConstantTime(proof, WorkerProof(token_, challenge_, nonce))) return Outcome::kUnknown;
    answer_ = CoordinatorProof(token_, challenge_, nonce);
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
