// Groups finished fragments into commits.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "model/fragment_update.h"

namespace leman {

/// Pure. A group is due when `granularity` fragments are waiting, and then takes all that wait; without a granularity
/// only at the end. Partial commits are paced: on tables of very many fragments a commit can take as long as computing
/// `granularity` of them, so the next one waits until kPacing times the last one's duration has passed:
/// commits take a tenth of a job at most.
class CommitQueue {
 public:
  explicit CommitQueue(std::optional<int64_t> granularity) : granularity_(granularity) {}

  void Add(FragmentUpdate update) { waiting_.push_back(std::move(update)); }
  [[nodiscard]] int64_t waiting() const { return static_cast<int64_t>(waiting_.size()); }
  /// The next group, if one is due. `last` says that no more will be added.
  std::optional<std::vector<FragmentUpdate>> TakeGroup(bool last, int64_t now_ns);
  /// A commit ended at `now_ns` and took `duration_ns`.
  void OnCommitted(int64_t now_ns, int64_t duration_ns);

  static constexpr int64_t kPacing = 9;

 private:
  std::optional<int64_t> granularity_;
  std::vector<FragmentUpdate> waiting_;
  int64_t not_before_ns_ = 0;
};

}  // namespace leman
