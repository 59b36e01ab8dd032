// How many rows a call may have, and when a worker should be replaced, so that it stays within its memory.
#pragma once

#include <cstdint>

namespace leman {

/// Pure; told what the worker holds and how much more it held at the height of a call. All sizes in bytes.
class MemoryBudget {
 public:
  /// `threads` call the function at the same time, and share `budget_bytes`.
  explicit MemoryBudget(int64_t budget_bytes, int64_t threads = 1);

  /// Rows that the next call may have: `wanted`, or fewer where that many would pass the budget; at least 1.
  [[nodiscard]] int64_t RowsFor(int64_t wanted, int64_t used_bytes) const;
  /// Calls of at most `rows` rows held at most `growth_bytes` more than was held before; `used_bytes` are held now.
  void OnCalls(int64_t rows, int64_t growth_bytes, int64_t used_bytes);
  /// Whether so much is held between calls that it should be freed, or the worker replaced. Never true of what the
  /// function holds from its first call on, such as a model: a new worker would hold it, too.
  [[nodiscard]] bool Crowded(int64_t used_bytes) const;

  [[nodiscard]] int64_t budget_bytes() const { return budget_bytes_; }

 private:
  [[nodiscard]] int64_t limit_bytes() const;

  int64_t budget_bytes_;
  int64_t threads_;
  int64_t first_used_bytes_ = -1;  // After the first call.
  // The last two sizes of calls that differ, and what they took.
  int64_t rows_ = 0;
  int64_t growth_bytes_ = 0;
  int64_t earlier_rows_ = 0;
  int64_t earlier_growth_bytes_ = 0;
};

}  // namespace leman
