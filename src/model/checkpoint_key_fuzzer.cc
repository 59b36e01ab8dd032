// libFuzzer entry: any text as the name of a file. A name that is taken for ours is the name that we would give.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "model/checkpoint_key.h"
#include "model/placed_region.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace leman;  // NOLINT(google-build-using-namespace)
  const std::string name(reinterpret_cast<const char*>(data), size);
  if (const auto checkpoint = ParseCheckpointFileName(name)) {
    if (checkpoint->range.rows() <= 0 || checkpoint->range.start < 0) std::abort();
    if (CheckpointFileName(checkpoint->range, checkpoint->fragment_key, checkpoint->crc) != name) std::abort();
  }
  if (const auto region = ParseRegionFileName(name)) {
    if (RegionFileName(*region) != name) std::abort();
  }
  if (const auto done = ParseDoneFileName(name)) {
    const size_t unique = name.rfind('-') + 1;
    const std::string suffix = name.substr(unique, name.size() - unique - std::string(".lance").size());
    if (DoneFileName(*done, suffix) != name) std::abort();
  }
  return 0;
}
