// libFuzzer entry: any bytes as what a peer sent. Nothing may crash, and a message that is accepted says the same after
// being written and read again.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "transport/channel.h"
#include "transport/handshake.h"

namespace {

// Takes every message of `bytes`, given in pieces of `step`; returns them written again.
std::string Rewrite(std::string_view bytes, size_t step) {
  leman::FrameParser parser;
  std::string again;
  while (true) {
    auto next = parser.Next();
    if (!next.ok()) return again;
    if (!next->empty()) {
      again += leman::EncodeFrame(next->front());
      continue;
    }
    if (bytes.empty()) return again;
    parser.Append(bytes.substr(0, step));
    bytes.remove_prefix(std::min(step, bytes.size()));
  }
}

// The handshake of a peer that knows the token and then says `bytes`, in pieces of at most `step`.
void ShakeHands(std::string_view bytes, size_t step) {
  const std::string token(leman::kTokenBytes, 't');
  const std::string challenge(leman::kNonceBytes, 'c');
  const std::string nonce(leman::kNonceBytes, 'n');
  leman::Handshake handshake(token, challenge);
  if (handshake.answer() != challenge) std::abort();
  std::string said = nonce + leman::WorkerProof(token, challenge, nonce);
  said.append(bytes);
  std::string_view rest = said;
  auto outcome = leman::Handshake::Outcome::kGoesOn;
  while (outcome == leman::Handshake::Outcome::kGoesOn) {
    if (handshake.wanted() == 0 || handshake.wanted() > leman::kMaxHelloBytes) std::abort();
    const std::string_view piece = rest.substr(0, std::min(step, handshake.wanted()));
    if (piece.empty()) return;
    rest.remove_prefix(piece.size());
    outcome = handshake.Take(piece);
  }
  if (outcome == leman::Handshake::Outcome::kUnknown) std::abort();
  if (outcome == leman::Handshake::Outcome::kRefused) {
    if (handshake.refusal().empty()) std::abort();
    return;
  }
  // Nothing of what follows the hello was taken.
  const std::string again = leman::EncodeFrame(handshake.hello());
  if (bytes.substr(0, bytes.size() - rest.size()) != again) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::string whole = Rewrite(bytes.substr(1), size);
  if (Rewrite(bytes.substr(1), data[0] % 16U + 1) != whole) std::abort();  // pieces make no difference
  if (Rewrite(whole, size) != whole) std::abort();
  ShakeHands(bytes.substr(1), data[0] % 16U + 1);
  return 0;
}
