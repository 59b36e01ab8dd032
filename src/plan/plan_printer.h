// A plan in figures, for `leman plan` and logs.
#pragma once

#include <string>

#include "plan/planner.h"

namespace leman {

/// A few lines of text that say what the job would do and what it would cost; ends with a newline.
std::string PrintPlan(const BackfillSpec& spec, const Plan& plan);

/// S19: says so where a table has fewer fragments than workers, and what it costs; else empty.
std::string FragmentAdvice(const BackfillSpec& spec, const Plan& plan);

}  // namespace leman
