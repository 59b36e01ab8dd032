// How many rows a task should have.
#pragma once

#include <cstdint>

#include "model/backfill_spec.h"

namespace leman {

/// Rows a task aims at: what the caller fixed, else rows / worker threads, but at least one batch. A task never spans
/// more than a fragment unless the fragments are tiny. Large tasks keep checkpoints large, often one a fragment, which
/// needs no copy at all; the balance comes from the scheduler, which splits running tasks for idle workers.
int64_t TaskRows(const BackfillSpec& spec, int64_t rows_to_compute);

}  // namespace leman
