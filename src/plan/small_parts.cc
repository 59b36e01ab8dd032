#include "plan/small_parts.h"

#include <cmath>
#include <iomanip>
#include <sstream>

namespace leman {
namespace {

/// From this size on, checkpoints of small values are not encoded again either.
constexpr double kGoodPartBytes = 8 << 20;

std::string Mib(double bytes) {
  constexpr double kMib = 1 << 20;
  std::ostringstream text;
  text << std::fixed << std::setprecision(bytes < 10 * kMib ? 1 : 0) << bytes / kMib << " MiB";
  return text.str();
}

}  // namespace

std::string SmallPartsNote(const BackfillSpec& spec, double row_bytes, int64_t rows, int64_t fragments) {
  if (!spec.copies_in_store || !spec.checkpoint_rows || fragments <= 0 || row_bytes <= 0) return "";
  const double checkpoint_bytes = row_bytes * static_cast<double>(*spec.checkpoint_rows);
  const double bytes = row_bytes * static_cast<double>(rows);
  // What fits into two parts goes through the driver anyway.
  if (checkpoint_bytes >= kSmallestPartBytes || bytes / static_cast<double>(fragments) < 2 * kSmallestPartBytes) {
    return "";
  }
  std::ostringstream text;
  text << "checkpoints of " << *spec.checkpoint_rows << " rows have about " << Mib(checkpoint_bytes)
       << ", and the object store copies no less than " << Mib(kSmallestPartBytes)
       << ": to put data files together, about " << Mib(2 * bytes)
       << " go through the driver (read and written). Leave "
       << "checkpoint_size and batch_size to Leman, or take "
       << static_cast<int64_t>(std::ceil(kGoodPartBytes / row_bytes)) << " rows or more";
  return text.str();
}

std::string SmallPartsAdvice(const BackfillSpec& spec, const Plan& plan) {
  if (!spec.copies_in_store || !spec.checkpoint_rows || plan.fragments.empty()) return "";
  const auto fragments = static_cast<int64_t>(plan.fragments.size());
  if (spec.value_bytes > 0) {
    return SmallPartsNote(spec, static_cast<double>(spec.value_bytes), plan.rows_total, fragments);
  }
  if (plan.rows_total / fragments <= *spec.checkpoint_rows) return "";
  std::ostringstream text;
  text << "checkpoints of " << *spec.checkpoint_rows << " rows have less than " << Mib(kSmallestPartBytes)
       << " where values have less than " << kSmallestPartBytes / *spec.checkpoint_rows
       << " bytes on average: the object store copies no smaller ones, and twice their bytes go through the driver. "
          "Leave checkpoint_size and batch_size to Leman where that is so";
  return text.str();
}

}  // namespace leman
