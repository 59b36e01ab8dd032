#include "plan/plan_printer.h"

#include <sstream>

#include "plan/small_parts.h"

namespace leman {

std::string FragmentAdvice(const BackfillSpec& spec, const Plan& plan) {
  const auto fragments = static_cast<int64_t>(plan.fragments.size());
  if (fragments == 0 || fragments >= spec.concurrency) return "";
  std::ostringstream text;
  text << "the table has " << fragments << " fragment(s) to fill for " << spec.concurrency
       << " workers: each fragment is computed by several workers, and its data file is put together by copying their "
          "pages (one extra copy of the output, no re-encoding); readers see rows only when a whole fragment is done";
  return text.str();
}

std::string PrintPlan(const BackfillSpec& spec, const Plan& plan) {
  std::ostringstream text;
  text << "backfill of column '" << spec.column << "' with " << spec.udf_name << " version " << spec.udf_version
       << " on table '" << spec.table_name << "' version " << spec.read_version << "\n";
  if (spec.where) text << "  where         " << *spec.where << "\n";
  text << "  fragments     " << plan.fragments.size() << " to fill, " << plan.fragments_done << " done already";
  if (plan.fragments_outside > 0) text << ", " << plan.fragments_outside << " left out by skip_frags/num_frags";
  text << "\n  rows          " << plan.rows_total << " selected, " << plan.rows_resumed << " of them in checkpoints\n";
  text << "  tasks         " << plan.tasks.size() << " of about " << plan.task_rows << " rows\n";
  text << "  workers       " << plan.workers << " process(es) x " << spec.intra_applier_concurrency << " thread(s)\n";
  const int64_t commits =
      !spec.commit_granularity
          ? (plan.fragments.empty() ? 0 : 1)
          : (static_cast<int64_t>(plan.fragments.size()) + *spec.commit_granularity - 1) / *spec.commit_granularity;
  text << "  commits       at most " << commits << "\n";
  if (const std::string advice = FragmentAdvice(spec, plan); !advice.empty())
    text << "  note          " << advice << "\n";
  if (const std::string advice = SmallPartsAdvice(spec, plan); !advice.empty())
    text << "  note          " << advice << "\n";
  return text.str();
}

}  // namespace leman
