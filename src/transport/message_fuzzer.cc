// libFuzzer entry: any bytes as what a peer sent. Nothing may crash, and a message that is accepted says the same after
// being written and read again.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "transport/channel.h"

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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::string whole = Rewrite(bytes.substr(1), size);
  if (Rewrite(bytes.substr(1), data[0] % 16U + 1) != whole) std::abort();  // pieces make no difference
  if (Rewrite(whole, size) != whole) std::abort();
  return 0;
}
