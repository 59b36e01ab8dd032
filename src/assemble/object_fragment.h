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

/// The name of the data file that AssembleFragmentObject can make of `checkpoints`: that of the upload that they are
/// parts of, if one is and the upload is for a file with the same done-record; else `file_name`.
Result<std::string> DataFileOfUpload(const std::vector<CheckpointFile>& checkpoints, const std::string& file_name,
                                     ObjectStore& store);

/// Aborts the upload that is announced at `announcement_key`, if one is, and removes the announcement.
Status DropUpload(const std::string& announcement_key, ObjectStore& store, PartUploads& uploads);

/// AssembleFragment for objects: paths are keys of `store`, and links are copies inside the store. Pages that the store
/// copies are not read back: what is verified is the size, and everything that the file's tail says.
/// Checkpoints that are records of uploaded parts become the object "data/<data file>" of their upload, see
/// DataFileOfUpload. `options.verify_copy` has no effect; `reencoder` is given keys.
Result<AssembledFile> AssembleFragmentObject(const std::vector<CheckpointFile>& checkpoints, int64_t physical_rows,
                                             const std::string& output_key, ObjectStore& store, PartUploads& uploads,
                                             Reencoder& reencoder, const AssembleOptions& options = {});

}  // namespace leman
