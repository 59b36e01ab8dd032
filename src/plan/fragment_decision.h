// What a job has to do with one fragment.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/backfill_spec.h"
#include "model/checkpoint_key.h"
#include "model/fragment_info.h"
#include "plan/file_history.h"

namespace leman {

/// Physical rows [start, end) of a fragment that are to be computed, as far as the filter selects them; empty: all.
struct NeededRows {
  int64_t start = 0;
  int64_t end = 0;
  std::string filter;
  friend bool operator==(const NeededRows&, const NeededRows&) = default;
};

/// What a fragment needs, decided without reading data.
struct FragmentDecision {
  enum class Need { kNothing, kAll, kFilter } need = Need::kAll;
  std::string filter;
  DoneScope scope_after = DoneScope::kFull;
  /// Where its parts need different things, as after a rewrite: what `filter` selects, in other words.
  std::vector<NeededRows> parts = {};
};

/// Whether only the history of the table can tell if what `fragment` holds is up to date: its output lies in a file
/// without a record, which a plain backfill would take as done.
bool NeedsHistory(const BackfillSpec& spec, const FragmentInfo& fragment);

/// Pure; the rules are the table of docs/formats/done_record.md.
FragmentDecision DecideFragment(const BackfillSpec& spec, const FragmentInfo& fragment,
                                const FileHistory& history = {});

/// The rows that `decision` is about, in order.
std::vector<NeededRows> RowsNeeded(const FragmentInfo& fragment, const FragmentDecision& decision);

/// `name` as an identifier of the table's SQL, quoted with backticks.
std::string QuoteIdentifier(const std::string& name);

}  // namespace leman
