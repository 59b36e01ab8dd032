#include "apply/memory_budget.h"

#include <algorithm>

namespace leman {
namespace {

// What is left free for what is only known afterwards: readahead, the writer, other threads.
constexpr double kUsableShare = 0.85;
// Between calls nothing is needed but what stays: above this share the next calls would have little room.
constexpr double kCrowdedShare = 0.7;
// A worker that holds little more than at first is not replaced: the next one would hold as much.
constexpr int64_t kGrowthToReplace = 5;  // budget / 5
// A function whose first call leaves no room is given this much all the same: one row a call would never end.
constexpr int64_t kLeastRoom = 4;  // budget / 4
// Two sizes of calls tell what a row costs and what every call costs; but noise does not make rows free.
constexpr double kLeastShareOfRows = 0.25;
// Rows of a call up to which what it took may be what is loaded once.
constexpr int64_t kFewRows = 32;

}  // namespace

MemoryBudget::MemoryBudget(int64_t budget_bytes, int64_t threads)
    : budget_bytes_(budget_bytes), threads_(std::max<int64_t>(threads, 1)) {}

int64_t MemoryBudget::limit_bytes() const {
  const auto usable = static_cast<int64_t>(static_cast<double>(budget_bytes_) * kUsableShare);
  return std::max(usable, first_used_bytes_ + budget_bytes_ / kLeastRoom);
}

int64_t MemoryBudget::RowsFor(int64_t wanted, int64_t used_bytes) const {
  if (rows_ == 0 || growth_bytes_ <= 0) return wanted;
  const auto growth = static_cast<double>(growth_bytes_);
  double per_row = growth / static_cast<double>(rows_);
  if (earlier_rows_ > 0 && earlier_rows_ != rows_) {
    const double slope =
        static_cast<double>(growth_bytes_ - earlier_growth_bytes_) / static_cast<double>(rows_ - earlier_rows_);
    per_row = std::clamp(slope, per_row * kLeastShareOfRows, per_row);
  }
  const double every_call = growth - per_row * static_cast<double>(rows_);
  const double room = static_cast<double>(limit_bytes() - used_bytes) / static_cast<double>(threads_);
  const double rows = (room - every_call) / per_row;
  if (rows >= static_cast<double>(wanted)) return wanted;
  return std::max<int64_t>(1, static_cast<int64_t>(rows));
}

void MemoryBudget::OnCalls(int64_t rows, int64_t growth_bytes, int64_t used_bytes) {
  if (first_used_bytes_ < 0) {
    first_used_bytes_ = used_bytes;
    if (rows <= kFewRows) return;
  }
  if (rows != rows_) {
    earlier_rows_ = rows_;
    earlier_growth_bytes_ = growth_bytes_;
  }
  rows_ = rows;
  growth_bytes_ = growth_bytes;
}

bool MemoryBudget::Crowded(int64_t used_bytes) const {
  if (first_used_bytes_ < 0 || used_bytes - first_used_bytes_ < budget_bytes_ / kGrowthToReplace) return false;
  return static_cast<double>(used_bytes) > static_cast<double>(budget_bytes_) * kCrowdedShare;
}

}  // namespace leman
