// What a peer has to say before the coordinator listens to it: the job's token, then hello.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "transport/message.h"

namespace leman {

/// What a worker sends before anything else: the job's secret, nothing that has to be parsed.
constexpr size_t kTokenBytes = 32;
/// Greater than any hello, far less than what would hurt.
constexpr uint32_t kMaxHelloBytes = 16 << 10;

/// The bytes of one peer, step by step. Format: docs/formats/messages.md, "Over TCP".
class Handshake {
 public:
  enum class Outcome {
    kGoesOn,   ///< More bytes are wanted.
    kUnknown,  ///< It does not know the token: no answer, not even a reason.
    kRefused,  ///< It does, but what it said then is no hello of this version; see refusal().
    kComplete  ///< See hello().
  };

  /// `token` has kTokenBytes bytes and outlives this.
  explicit Handshake(std::string_view token) : token_(token) {}

  /// How many bytes Take may be given next: never one that follows the hello.
  [[nodiscard]] size_t wanted() const { return step_bytes_ - bytes_.size(); }
  /// Not to be called after another outcome than kGoesOn.
  Outcome Take(std::string_view bytes);
  [[nodiscard]] const HelloMessage& hello() const { return hello_; }
  [[nodiscard]] const std::string& refusal() const { return refusal_; }

 private:
  enum class Step { kToken, kHeader, kHello };

  Outcome Advance();
  Outcome Refuse(std::string why);

  std::string_view token_;
  Step step_ = Step::kToken;
  size_t step_bytes_ = kTokenBytes;
  std::string bytes_;
  HelloMessage hello_;
  std::string refusal_;
};

}  // namespace leman
