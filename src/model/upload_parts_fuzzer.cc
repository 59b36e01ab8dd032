// libFuzzer entry: any bytes as a record of uploaded parts, an announcement, or the name of one. What is taken is what
// we would write.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "model/upload_parts.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace leman;  // NOLINT(google-build-using-namespace)
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  if (const auto record = ParsePartsRecord(bytes); record.ok()) {
    if (EncodePartsRecord(*record) != bytes || record->parts_bytes() <= 0) std::abort();
  }
  if (const auto announcement = ParseUploadAnnouncement(bytes); announcement.ok()) {
    if (EncodeUploadAnnouncement(*announcement) != bytes) std::abort();
  }
  if (const auto name = ParsePartsFileName(bytes)) {
    if (PartsFileName(*name) != bytes) std::abort();
  }
  return 0;
}
