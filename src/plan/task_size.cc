#include "plan/task_size.h"

#include <algorithm>

namespace leman {

int64_t TaskRows(const BackfillSpec& spec, int64_t rows_to_compute) {
  if (spec.task_rows) return *spec.task_rows;
  const int64_t threads = int64_t{spec.concurrency} * spec.intra_applier_concurrency;
  return std::max<int64_t>(spec.batch_size, (rows_to_compute + threads - 1) / threads);
}

}  // namespace leman
