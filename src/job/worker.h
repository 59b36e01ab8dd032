// A worker process's life: set up, compute tasks, report, end with its coordinator.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "apply/batch_cutter.h"
#include "apply/call_slot.h"
#include "apply/rider.h"
#include "apply/udf.h"
#include "base/clock.h"
#include "base/result.h"
#include "io/object_store.h"
#include "model/arrow_c_data.h"
#include "table/batch_reader.h"
#include "table/column_writer.h"
#include "transport/message.h"

namespace leman {

/// What one thread computes another column with, from the rows that it reads anyway.
struct RiderTools {
  std::unique_ptr<Udf> udf;
  std::unique_ptr<ColumnWriter> writer;
  OwnedSchema output_type;
  Rider::Columns columns;
  std::string checkpoint_folder;
  std::map<int64_t, std::string> fragment_keys;
};

/// What one applier thread works with.
struct ThreadTools {
  std::unique_ptr<BatchReader> reader;
  std::unique_ptr<Udf> udf;
  std::unique_ptr<ArrayMerger> merger;
  std::unique_ptr<ColumnWriter> writer;
  std::unique_ptr<ObjectStore> store;  ///< Rooted where checkpoints lie, which are published in it.
  OwnedSchema output_type;
  std::shared_ptr<WatchedCalls> calls;  ///< Null: calls have no time limit.
  std::vector<RiderTools> riders;
  int64_t read_columns = 0;  ///< Columns that are read for the function and the riders; 0: the function's alone.
};

/// Port: the process around the worker.
class WorkerHost {
 public:
  virtual ~WorkerHost() = default;
  /// Opens the table and loads the function, once.
  virtual Status SetUp(const SetupMessage& setup) = 0;
  /// Called once for each thread, on that thread.
  virtual Result<ThreadTools> MakeThreadTools() = 0;
  /// Memory runs short: give back what is free but kept. On any thread.
  virtual void FreeMemory() {}
  /// The coordinator is gone, or was silent for twice the lease: end the process, whatever the function is doing.
  /// Called on any thread; in tests it may return.
  virtual void OnCoordinatorGone() = 0;
  /// The function cannot be interrupted, the coordinator knows: end the process. In tests it may return.
  virtual void OnStuck() = 0;
};

/// Serves the coordinator at the other end of `fd` (taken over) until it says stop or is gone. `hello` is said first;
/// its protocol and process are filled in here.
Status ServeWorker(int fd, WorkerHost& host, Clock& clock, HelloMessage hello = {});

/// How a worker with this set-up cuts its calls and checkpoints.
CutOptions CutOf(const SetupMessage& setup);

}  // namespace leman
