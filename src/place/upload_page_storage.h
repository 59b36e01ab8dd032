// Column files as parts of their fragment's upload in an object store. Format: docs/formats/upload_parts.md.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "io/object_store.h"
#include "io/part_uploads.h"
#include "place/page_sink.h"

namespace leman {

/// Called once, when the first upload is needed.
using PartUploadsMaker = std::function<std::unique_ptr<PartUploads>()>;

/// Paths are `root` + "/" + a key of `store`. A file without an upload to be part of becomes an object. For one thread,
/// and the queue that it was told to use.
std::unique_ptr<PageStorage> MakeUploadPageStorage(std::string root, std::unique_ptr<ObjectStore> store,
                                                   PartUploadsMaker make_uploads, const PartLimits& limits = {});

}  // namespace leman
