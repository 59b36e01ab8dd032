// libFuzzer entry: any bytes as a Lance file. Nothing may crash, and what is accepted must survive being written again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "assemble/assembly_plan.h"
#include "assemble/blob_values.h"
#include "assemble/byte_source.h"
#include "assemble/lance_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace leman;  // NOLINT(google-build-using-namespace)
  MemoryByteSource source(std::string_view(reinterpret_cast<const char*>(data), size));
  const Result<LanceFile> file = ReadLanceFile(source);
  if (!file.ok()) return 0;
  if (const auto places = PlacesOfBlobs(*file, source); places.ok()) {
    for (const BlobPlace& place : *places) {
      if (place.size > size || place.position > size - place.size) std::abort();
    }
  }
  const std::vector<LanceFile> twice = {*file, *file};
  const Result<AssemblyPlan> plan = PlanAssembly(twice);
  if (!plan.ok()) return 0;
  std::string output(static_cast<size_t>(plan->size_bytes), '\0');
  for (const Segment& segment : plan->segments) {
    if (const auto* literal = std::get_if<std::string>(&segment.content)) {
      output.replace(static_cast<size_t>(segment.position), literal->size(), *literal);
      continue;
    }
    const auto& range = std::get<CheckpointRange>(segment.content);
    const Result<std::string> bytes = source.Read(range.offset, range.length);
    if (!bytes.ok()) std::abort();
    output.replace(static_cast<size_t>(segment.position), bytes->size(), *bytes);
  }
  if (output.size() != static_cast<size_t>(plan->size_bytes)) std::abort();
  MemoryByteSource again(output);
  const Result<LanceFile> joined = ReadLanceFile(again);
  if (!joined.ok() || joined->descriptor.rows != 2 * file->descriptor.rows) std::abort();
  return 0;
}
