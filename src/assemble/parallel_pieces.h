// A few threads that work through numbered pieces, stopping at the first error.
#pragma once

#include <cstddef>
#include <functional>

#include "base/result.h"

namespace leman {

/// Work on one piece after the other on one thread; may keep what it needs from call to call.
using PieceWorker = std::function<Status(size_t piece)>;

/// Calls workers, one made by `make_worker` for each of at most `threads` threads, until every piece in [0, pieces) was
/// done once. Returns the first error; pieces not begun by then are left.
Status ForEachPiece(size_t pieces, int threads, const std::function<PieceWorker()>& make_worker);

}  // namespace leman
