#include "commit/commit_queue.h"

#include <utility>

namespace leman {

std::optional<std::vector<FragmentUpdate>> CommitQueue::TakeGroup(bool last, int64_t now_ns) {
  if (waiting_.empty()) return std::nullopt;
  const bool enough = granularity_ && waiting() >= *granularity_ && now_ns >= not_before_ns_;
  if (!last && !enough) return std::nullopt;
  return std::exchange(waiting_, {});
}

void CommitQueue::OnCommitted(int64_t now_ns, int64_t duration_ns) { not_before_ns_ = now_ns + kPacing * duration_ns; }

}  // namespace leman
