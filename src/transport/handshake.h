// What a peer has to say before the coordinator listens to it: a proof that it knows the job's token, then hello.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/hmac_sha256.h"
#include "transport/message.h"

namespace leman {

/// The secret of a job, which both ends were given by whoever started them. It is never sent.
constexpr size_t kTokenBytes = 32;
/// Random bytes, new for each connection: what was said on another one proves nothing on this.
constexpr size_t kNonceBytes = 32;
/// What a worker sends before anything else: its own nonce and its proof, nothing that has to be parsed.
constexpr size_t kClaimBytes = kNonceBytes + kHmacBytes;
/// Greater than any hello, far less than what would hurt.
constexpr uint32_t kMaxHelloBytes = 16 << 10;

/// What proves that a worker knows the token, and what proves it of the coordinator; neither can be made of the other.
std::string WorkerProof(std::string_view token, std::string_view challenge, std::string_view worker_nonce);
std::string CoordinatorProof(std::string_view token, std::string_view challenge, std::string_view worker_nonce);

/// The bytes of one peer, step by step, after it was sent the challenge. Format: docs/formats/messages.md, "Over TCP".
class Handshake {
 public:
  enum class Outcome {
    kGoesOn,   ///< More bytes are wanted; answer() may have something to send first.
    kUnknown,  ///< It does not know the token: no answer, not even a reason.
    kRefused,  ///< It does, but what it said then is no hello of this version; see refusal().
    kComplete  ///< See hello().
  };

  /// `token` has kTokenBytes bytes and outlives this; `challenge` are kNonceBytes random ones.
  Handshake(std::string_view token, std::string challenge) : token_(token), challenge_(std::move(challenge)) {}

  /// What the peer has to be sent now, once: first the challenge, and this end's proof after the peer's own.
  [[nodiscard]] std::string answer();

  /// How many bytes Take may be given next: never one that follows the hello.
  [[nodiscard]] size_t wanted() const { return step_bytes_ - bytes_.size(); }
  /// Not to be called after another outcome than kGoesOn.
  Outcome Take(std::string_view bytes);
  [[nodiscard]] const HelloMessage& hello() const { return hello_; }
  [[nodiscard]] const std::string& refusal() const { return refusal_; }

 private:
  enum class Step { kClaim, kHeader, kHello };

  Outcome Advance();
  Outcome Refuse(std::string why);

  std::string_view token_;
  std::string challenge_;
  std::string answer_ = challenge_;
  Step step_ = Step::kClaim;
  size_t step_bytes_ = kClaimBytes;
  std::string bytes_;
  HelloMessage hello_;
  std::string refusal_;
};

}  // namespace leman
