// Checks of schemas and arrays that a foreign library made, before anything follows their pointers.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "model/arrow_c_data.h"

namespace leman {

/// Formats, names and children are there, as deep as they go. kInvalidArgument naming `function`.
Status CheckSchema(const std::string& function, const OwnedSchema& schema);

/// `array` has `rows` rows of the type `schema`, its buffers and children are there, and its offsets begin at 0 or
/// above and do not fall. What the buffers hold beyond that cannot be known. kUserFunction naming `function`.
Status CheckArray(const std::string& function, const ArrowSchema& schema, const ArrowArray& array, int64_t rows);

}  // namespace leman
