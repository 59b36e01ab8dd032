// How many rows a call gets, and when a checkpoint is due.
#pragma once

#include <cstdint>
#include <optional>

namespace leman {

struct CutOptions {
  int64_t batch_rows = 10240;     ///< Upper bound on the rows of a call.
  bool batch_rows_fixed = false;  ///< The caller chose batch_rows: every call gets them.
  int64_t first_call_rows = 1;    ///< Where they adapt: rows of the first call, so that a slow function shows life.
  /// Rows that a call works on at the same time. With more than one, a call never has fewer, and four times as many
  /// unless they are large: its last rows leave the others' places empty.
  int64_t rows_in_flight = 1;
  int64_t target_call_ns = 250'000'000;
  int64_t max_call_bytes = 32 << 20;
  std::optional<int64_t> checkpoint_rows;  ///< Cut exactly here (S9); else by time and bytes.
  std::optional<int64_t> min_checkpoint_rows;
  std::optional<int64_t> max_checkpoint_rows;
  /// Bounds what a dead worker loses. Bytes alone do not: what took no time is cheap to compute again, and one
  /// checkpoint a fragment needs no copy.
  int64_t checkpoint_ns = 5'000'000'000;
  int64_t checkpoint_bytes = 1LL << 30;
  /// The same for a part of a fragment that has others: it is copied to its place anyway, better while others compute.
  int64_t shared_checkpoint_bytes = 256 << 20;
  /// Of a part of a fragment: with fewer, its bytes are worth waiting for, see CheckpointDue. 0: any number is as good.
  int64_t min_part_bytes = 0;
};

/// Pure; told what each call took. One per task.
class BatchCutter {
 public:
  explicit BatchCutter(const CutOptions& options);

  /// Rows that the next call may have; never more than what is left until checkpoint_rows.
  [[nodiscard]] int64_t NextCallRows() const;
  /// A call on `rows` rows took `elapsed_ns` and gave `bytes` of output.
  void OnCall(int64_t rows, int64_t elapsed_ns, int64_t bytes);
  /// `shared`: the checkpoint is not all of its fragment. `rows_left`: that could still go into it. Cut by time or
  /// bytes, it waits where it, or all that is left, would have fewer than min_part_bytes: for more bytes of large
  /// values up to three times as long, for what is left if that takes no longer than a checkpoint may.
  [[nodiscard]] bool CheckpointDue(bool shared = false, int64_t rows_left = 0) const;
  /// Where a task that is to give away its rows from `keep` on, of `rows_to_do`, should end; it has done `rows_done`.
  /// Another place than `keep`, or the end, where both parts then have min_part_bytes, or are whole checkpoints, and
  /// that costs no more than a second.
  [[nodiscard]] int64_t RowsToKeep(int64_t keep, int64_t rows_done, int64_t rows_to_do) const;
  /// A checkpoint was cut.
  void OnCheckpoint();
  [[nodiscard]] int64_t rows_in_checkpoint() const { return rows_; }

 private:
  [[nodiscard]] bool WaitsForPart(int64_t rows_left) const;

  CutOptions options_;
  int64_t call_rows_;
  int64_t rows_ = 0;
  int64_t elapsed_ns_ = 0;
  int64_t bytes_ = 0;
  double row_ns_ = 0;  ///< Of the last call.
  double row_bytes_ = 0;
};

}  // namespace leman
