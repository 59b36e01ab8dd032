// libFuzzer entry: any bytes as a column's lease. Nothing may crash; what holds the column is told, all else is taken
// over.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/sha256.h"
#include "io/memory_object_store.h"
#include "job/column_lease.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace leman;  // NOLINT(google-build-using-namespace)
  MemoryObjectStore store;
  ManualClock clock;
  BackfillSpec spec;
  spec.column = "y";
  spec.job_id = "job-1";
  const std::string key = "_leman/leases/" + Sha256Hex(spec.column).substr(0, 16) + ".json";
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  (void)store.Put(key, bytes);
  {
    const auto lease = ColumnLease::Acquire(spec, store, clock);
    if (!lease.ok()) {
      if (lease.error().kind != ErrorKind::kAlreadyExists || *store.Get(key) != bytes) std::abort();
      return 0;
    }
    if (!(*lease)->Check().ok()) std::abort();
  }
  if (*store.Exists(key)) std::abort();
  return 0;
}
