// A column that is computed from the rows that a task on another column has read.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "apply/udf.h"
#include "base/clock.h"
#include "base/result.h"
#include "checkpoint/checkpoint_store.h"
#include "model/arrow_slice.h"
#include "model/row_range.h"
#include "model/task_outcome.h"
#include "table/column_writer.h"

namespace leman {

/// What a rider works with; all of it outlives the rider.
struct RiderPorts {
  Udf& udf;
  ColumnWriter& writer;
  Clock& clock;
  const ArrowSchema& output_type;  ///< To count bytes.
};

/// Writes checkpoints of its own column, under its own identity, while a task on another column runs: its own job finds
/// them later, as it finds those of an earlier run. So nothing that goes wrong here fails the task: the rider is let
/// go, and what it did not write is computed by its own job, which says what is wrong.
class Rider {
 public:
  struct Columns {
    int64_t first = 0;  ///< Its inputs among those that are read.
    int64_t last = 0;
  };

  /// `fragment_keys`: of the fragments in which it computes all rows; it does nothing in others. `name` and
  /// `checkpoint_root` as of Applier.
  Rider(RiderPorts ports, Columns columns, CheckpointStore checkpoints, std::map<int64_t, std::string> fragment_keys,
        std::string name, std::string checkpoint_root);

  /// Before a task's first row; `rides`: whether there is anything to do in the task.
  void Begin(bool rides);
  /// Rows [offset, offset + at.rows()) of `batch` are rows `at` of the table. `live`: null, or a byte a row, 0:
  /// deleted. Returns the bytes of the results.
  int64_t OnRows(const SharedArray& batch, int64_t offset, const RowRange& at, const RowMask* live, WorkTimes& times);
  /// Makes a checkpoint of the rows since the last; called at least where a fragment ends.
  void Cut();
  /// After a task, however it ended: what is not in a checkpoint is forgotten.
  void End();

 private:
  Result<int64_t> Compute(const SharedArray& batch, int64_t offset, const RowRange& at, const RowMask* live,
                          WorkTimes& times);
  Status Publish();
  void LetGo();

  RiderPorts ports_;
  Columns columns_;
  CheckpointStore checkpoints_;
  std::map<int64_t, std::string> fragment_keys_;
  std::string name_;
  std::string checkpoint_root_;
  bool rides_ = false;
  int64_t serial_ = 0;
  std::unique_ptr<ColumnFile> file_;
  std::string file_key_;
  RowRange written_;
};

}  // namespace leman
