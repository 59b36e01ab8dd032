// Finished buffers as an ArrowArray.
#pragma once

#include <vector>

#include "model/arrow_c_data.h"
#include "scalar/buffer.h"

namespace leman::python::scalar {

/// Hands over `buffers` (the first is the validity bitmap) and `children`; the array's release frees them, on any
/// thread, without the GIL.
OwnedArray ExportArray(int64_t length, int64_t null_count, std::vector<Buffer> buffers,
                       std::vector<OwnedArray> children = {});

}  // namespace leman::python::scalar
