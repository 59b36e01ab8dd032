// From a table version, a request and the checkpoints that exist: what has to be computed.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "checkpoint/checkpoint_index.h"
#include "model/backfill_spec.h"
#include "model/checkpoint_key.h"
#include "model/fragment_info.h"
#include "model/task.h"
#include "plan/fragment_decision.h"

namespace leman {

/// One fragment that the job will give a new data file.
struct FragmentPlan {
  FragmentInfo fragment;
  Selection selection = Selection::kAll;
  std::string filter;  ///< With Selection::kFilter: the SQL that selects.
  std::string fragment_key;
  DoneRecord record;  ///< What the new data file's name will say.
  int64_t rows_selected = 0;
  std::vector<int64_t> only_rows;             ///< Not empty: only these physical rows of those that the filter selects.
  std::vector<StoredCheckpoint> checkpoints;  ///< Found, usable, in row order.

  [[nodiscard]] bool complete() const;
};

struct Plan {
  std::vector<FragmentPlan> fragments;  ///< In table order.
  std::vector<Task> tasks;              ///< In the order in which they are handed out.
  int64_t rows_total = 0;               ///< Rows selected in `fragments`.
  int64_t rows_resumed = 0;             ///< Of these, rows that checkpoints hold (an estimate with a filter).
  int64_t fragments_done = 0;           ///< Fragments whose record says that nothing is to do.
  int64_t fragments_outside = 0;        ///< Left out by skip_frags and num_frags.
  int64_t task_rows = 0;                ///< Rows a task aims at.
  int32_t workers = 0;                  ///< Processes that are worth starting.
};

/// The fragments that skip_frags and num_frags leave, in table order.
std::vector<FragmentInfo> SelectFragments(const BackfillSpec& spec, const std::vector<FragmentInfo>& fragments);

/// Pure. `selected` holds the number of rows that each fragment's filter selects, for those that need one.
Plan MakePlan(const BackfillSpec& spec, const std::vector<FragmentInfo>& fragments,
              const std::map<int64_t, int64_t>& selected, const CheckpointIndex& checkpoints,
              const FileHistory& history = {});

}  // namespace leman
