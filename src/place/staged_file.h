// Moves a complete column file, which an encoder wrote, into its fragment's pages file.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "model/placed_region.h"

namespace leman {

/// Copies the pages of the Lance file at `path` into the pages file at `pages_path`, reads them back and compares, and
/// gives them a tail there. On success the file at `path` is gone; on an error it is as it was, and what was reserved
/// is never read. kUnsupported where its pages cannot be adopted, or the pages file cannot be had.
Result<PlacedRegion> PlaceStagedFile(const std::string& path, const std::string& pages_path);

}  // namespace leman
