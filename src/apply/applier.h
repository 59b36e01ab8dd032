// One task from top to bottom: read, call the function, cut, write checkpoints.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "apply/batch_cutter.h"
#include "apply/memory_watch.h"
#include "apply/rider.h"
#include "apply/udf.h"
#include "apply/write_behind.h"
#include "base/clock.h"
#include "base/result.h"
#include "checkpoint/checkpoint_store.h"
#include "model/arrow_slice.h"
#include "model/task.h"
#include "model/task_outcome.h"
#include "table/batch_reader.h"
#include "table/column_writer.h"

namespace leman {

/// A task with what a worker needs to know of its fragments.
struct TaskOrder {
  Task task;
  std::vector<std::string> fragment_keys;  ///< One per piece.
  std::string filter;                      ///< Empty: all live rows.
  bool with_deleted_rows = false;
  bool only_listed_rows = false;
  std::vector<int64_t> rows;  ///< With only_listed_rows and a filter: of what it selects, only these physical rows.
  std::vector<int64_t> fragment_rows = {};  ///< Physical rows of each piece's fragment; empty: not known.
  std::vector<std::string> data_files =
      {};  ///< Of each piece's fragment, see ColumnWriter::TellDataFile; may be empty.
};

/// What reaches a running task from outside, and leaves it; the methods are called on the applier's thread.
class TaskObserver {
 public:
  virtual ~TaskObserver() = default;
  virtual void OnProgress(int64_t rows_done) = 0;
  /// The function is about to be called on `rows`.
  virtual void OnCall(const RowRange&) {}
  /// With `writes_behind` on another thread.
  virtual void OnCheckpoint(const CheckpointDone& done) = 0;
  /// The task now ends after its first `kept_rows` rows.
  virtual void OnShrunk(int64_t kept_rows) = 0;
  /// Whether somebody asked to stop.
  [[nodiscard]] virtual bool cancelled() const = 0;
  /// Rows after which the task should end, or -1; asked before every call and then forgotten.
  [[nodiscard]] virtual int64_t TakeShrinkRequest() = 0;
};

/// Everything an applier works with; all of it outlives the applier.
struct ApplierPorts {
  BatchReader& reader;
  Udf& udf;
  ArrayMerger& merger;
  ColumnWriter& writer;
  CheckpointStore& checkpoints;
  Clock& clock;
  const ArrowSchema& output_type;  ///< Of what the function returns, to count bytes.
  /// Computed from the same batches, where a task reads all rows and is tried for the first time: a rider that ends the
  /// process must not be taken for the function.
  std::vector<std::unique_ptr<Rider>> riders = {};
  int64_t read_columns = 0;       ///< Columns that are read for the function and the riders; 0: the function's alone.
  MemoryWatch* memory = nullptr;  ///< Null: memory is not limited.
  /// Values are put away while the next ones are computed: worth a thread where storage is far.
  bool writes_behind = false;
};

class Applier {
 public:
  /// `name` is unique among the appliers of a job: it is part of temporary names. `checkpoint_root` + "/" + key is the
  /// path under which the writer reaches a key of the checkpoint store.
  Applier(ApplierPorts ports, CutOptions cut, int64_t input_columns, std::string name, std::string checkpoint_root);

  /// Runs the task. Every range reported through the observer is durable. On failure `*failed_at` holds the rows in
  /// hand (a single row where it is known), and what was reported before stays valid. kCancelled also where the watch
  /// of memory says that the worker is worn out: the rest of the task is for another one.
  Status Run(const TaskOrder& order, TaskObserver& observer, RowRange* failed_at);

 private:
  struct TaskRun;
  struct FileInHand;
  /// What went wrong behind, and the rows of the checkpoint that it was about.
  struct LateFailure {
    Error error;
    RowRange rows;
  };

  Status RunTask(TaskRun& run);
  Status ProcessBatch(TaskRun& run, const SharedArray& batch);
  Result<OwnedArray> ComputeRows(TaskRun& run, const SharedArray& batch, int64_t offset, int64_t rows,
                                 int64_t* selected_rows);
  int64_t Ride(TaskRun& run, const SharedArray& batch, int64_t offset, int64_t rows);
  Result<OwnedArray> LeaveNull(TaskRun& run, const SharedArray& batch, int64_t offset, const RowMask& mask);
  [[nodiscard]] std::string PagesPath(const TaskRun& run) const;
  Status WriteRows(TaskRun& run, OwnedArray values);
  Status CutCheckpoint(TaskRun& run);
  Status Publish(FileInHand& file, TaskObserver& observer);
  void PublishBehind(FileInHand file, TaskObserver& observer);
  void WaitForWrites();
  Status FailureBehind(RowRange* failed_at);
  void KeepComputed(TaskRun& run);
  int64_t NextCallRows(TaskRun& run, int64_t batch_rows_left);
  Status RelieveMemory(TaskRun& run);

  ApplierPorts ports_;
  CutOptions cut_;
  int64_t input_columns_;
  int64_t read_columns_;
  std::string name_;
  std::string checkpoint_root_;
  int64_t serial_ = 0;
  std::mutex mutex_;
  std::optional<LateFailure> late_failure_;
  std::unique_ptr<WriteBehind> behind_;  // Null: nothing is written behind. Last: its thread uses the others.
};

}  // namespace leman
