// Carries out an assembly plan in an object store.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "assemble/assembly_plan.h"
#include "base/result.h"
#include "io/object_store.h"
#include "io/part_uploads.h"

namespace leman {

struct ObjectAssemblyOptions {
  int threads = 8;  ///< Requests at once.
  const std::atomic<bool>* cancel = nullptr;
  std::function<void(int64_t bytes)> on_bytes;  ///< Called after bytes reached their place; never twice at once.
  PartLimits limits;
};

struct ObjectAssembly {
  int64_t copied_inside_bytes = 0;  ///< From object to object.
  int64_t uploaded_bytes = 0;       ///< Through this process.
};

/// A checkpoint as an object.
struct CheckpointObject {
  std::string key;
  ObjectInfo info;
};

/// An upload of which workers have made the first parts.
struct BegunUpload {
  std::string id;
  std::vector<UploadedPart> parts;  ///< By ascending number.
};

/// Makes the object `output_key` of the parts of `begun` and, behind them, of what `rest` says: its positions count
/// from their end. It appears complete or not at all, also on an error the upload stays. `size_bytes` is the object's.
Result<ObjectAssembly> CompleteUpload(const BegunUpload& begun, const AssemblyPlan& rest, int64_t size_bytes,
                                      const std::vector<CheckpointObject>& checkpoints, const std::string& output_key,
                                      ObjectStore& store, PartUploads& uploads,
                                      const ObjectAssemblyOptions& options = {});

/// Makes the object `output_key` of `checkpoints`, those of the plan. It appears complete or not at all; on an error
/// the upload is aborted. kConflict for a checkpoint that changed since its `info` was read.
Result<ObjectAssembly> AssembleToObject(const AssemblyPlan& plan, const std::vector<CheckpointObject>& checkpoints,
                                        const std::string& output_key, ObjectStore& store, PartUploads& uploads,
                                        const ObjectAssemblyOptions& options = {});

}  // namespace leman
