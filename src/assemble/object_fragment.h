// Makes the data file of one fragment of the checkpoints that cover it, in an object store.
#pragma once

#include <string>
#include <vector>

#include "assemble/fragment_assembler.h"
#include "assemble/object_assembly.h"
#include "base/result.h"
#include "io/object_store.h"
#include "io/part_uploads.h"

namespace leman {

/// AssembleFragment for objects: paths are keys of `store`, and links are copies inside the store. Pages that the store
/// copies are not read back: what is verified is the size, and everything that the file's tail says.
/// `options.verify_copy` has no effect; `reencoder` is given keys.
Result<AssembledFile> AssembleFragmentObject(const std::vector<CheckpointFile>& checkpoints, int64_t physical_rows,
                                             const std::string& output_key, ObjectStore& store, PartUploads& uploads,
                                             Reencoder& reencoder, const AssembleOptions& options = {});

}  // namespace leman
