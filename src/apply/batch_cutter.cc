#include "apply/batch_cutter.h"

#include <algorithm>
#include <cstdlib>

namespace leman {
namespace {
constexpr int64_t kMaxGrowth = 8;
/// Smaller ones are encoded again where their checkpoints are small.
constexpr int64_t kLargeValueBytes = 32 << 10;
constexpr int64_t kMostWaits = 3;
/// About what the traffic of a part that is too small costs.
constexpr double kMostImbalanceNs = 1e9;
}  // namespace

BatchCutter::BatchCutter(const CutOptions& options)
    : options_(options),
      call_rows_(options.batch_rows_fixed ? options.batch_rows
                                          : std::min(options.first_call_rows, options.batch_rows)) {}

int64_t BatchCutter::NextCallRows() const {
  int64_t rows = call_rows_;
  if (options_.checkpoint_rows) rows = std::min(rows, *options_.checkpoint_rows - rows_);
  if (options_.max_checkpoint_rows) rows = std::min(rows, *options_.max_checkpoint_rows - rows_);
  return std::max<int64_t>(1, rows);
}

void BatchCutter::OnCall(int64_t rows, int64_t elapsed_ns, int64_t bytes) {
  rows_ += rows;
  elapsed_ns_ += elapsed_ns;
  bytes_ += bytes;
  if (rows <= 0) return;
  row_ns_ = static_cast<double>(std::max<int64_t>(elapsed_ns, 1)) / static_cast<double>(rows);
  row_bytes_ = static_cast<double>(std::max<int64_t>(bytes, 1)) / static_cast<double>(rows);
  if (options_.batch_rows_fixed) return;
  double wanted = static_cast<double>(options_.target_call_ns) / row_ns_;
  const int64_t in_flight = std::max<int64_t>(options_.rows_in_flight, 1);
  if (in_flight > 1) wanted = std::max(wanted, static_cast<double>(4 * in_flight));
  wanted = std::min(wanted, static_cast<double>(options_.max_call_bytes) / row_bytes_);
  wanted = std::min(wanted, static_cast<double>(rows * kMaxGrowth));
  call_rows_ = std::min(std::max(static_cast<int64_t>(wanted), in_flight), options_.batch_rows);
}

bool BatchCutter::CheckpointDue(bool shared, int64_t rows_left) const {
  if (rows_ == 0) return false;
  if (options_.checkpoint_rows) return rows_ >= *options_.checkpoint_rows;
  if (options_.max_checkpoint_rows && rows_ >= *options_.max_checkpoint_rows) return true;
  if (options_.min_checkpoint_rows && rows_ < *options_.min_checkpoint_rows) return false;
  const int64_t most_bytes =
      shared ? std::min(options_.shared_checkpoint_bytes, options_.checkpoint_bytes) : options_.checkpoint_bytes;
  if (elapsed_ns_ < options_.checkpoint_ns && bytes_ < most_bytes) return false;
  return !WaitsForPart(rows_left);
}

bool BatchCutter::WaitsForPart(int64_t rows_left) const {
  if (options_.min_part_bytes <= 0 || rows_left <= 0) return false;
  const double left = static_cast<double>(rows_left) / static_cast<double>(rows_);
  const bool little_left = left * static_cast<double>(bytes_) < static_cast<double>(options_.min_part_bytes) &&
                           left * static_cast<double>(elapsed_ns_) <= static_cast<double>(options_.checkpoint_ns);
  if (little_left) return true;
  return bytes_ < options_.min_part_bytes && bytes_ / rows_ >= kLargeValueBytes &&
         elapsed_ns_ < kMostWaits * options_.checkpoint_ns;
}

int64_t BatchCutter::RowsToKeep(int64_t keep, int64_t rows_done, int64_t rows_to_do) const {
  if (options_.min_part_bytes <= 0) return keep;
  const bool fixed_parts = options_.checkpoint_rows && static_cast<double>(*options_.checkpoint_rows) * row_bytes_ >=
                                                           static_cast<double>(options_.min_part_bytes);
  if (row_bytes_ < static_cast<double>(kLargeValueBytes) && !fixed_parts) return keep;
  const int64_t begin = rows_done - rows_;  // Of the checkpoint in hand.
  const auto part_rows = options_.checkpoint_rows.value_or(
      1 + static_cast<int64_t>(static_cast<double>(options_.min_part_bytes) / row_bytes_));
  if (keep <= rows_done || keep >= rows_to_do) return keep;
  int64_t better = rows_to_do;
  if (options_.checkpoint_rows) {
    better = std::min(rows_to_do, begin + std::max<int64_t>(1, (keep - begin + part_rows / 2) / part_rows) * part_rows);
  } else if (rows_to_do - begin >= 2 * part_rows) {
    better = std::clamp(keep, std::max(rows_done, begin + part_rows), std::max(rows_done, rows_to_do - part_rows));
  }
  return static_cast<double>(std::abs(better - keep)) * row_ns_ <= kMostImbalanceNs ? better : keep;
}

void BatchCutter::OnCheckpoint() { rows_ = elapsed_ns_ = bytes_ = 0; }

}  // namespace leman
