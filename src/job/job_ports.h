// What a job works with: ports, wired in one place by whoever runs it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "io/object_store.h"
#include "job/job_runtime.h"
#include "model/assembly_bytes.h"
#include "model/fragment_update.h"
#include "model/job_state.h"
#include "model/row_failure.h"
#include "model/row_range.h"
#include "schedule/worker_pool.h"
#include "table/table_snapshot.h"
#include "table/table_transaction.h"

namespace leman {

/// A checkpoint file of a fragment that is complete.
struct FragmentPart {
  std::string key;  ///< Of the object store; of a region its record.
  RowRange range;
  bool check_bytes = false;  ///< Of a region: it was found, or made elsewhere; its bytes deserve a look.
  int64_t size_bytes = 0;    ///< Of one of an earlier run; else 0.
  /// Not empty: the range holds these rows of it, which was made for a fragment that has been rewritten since.
  std::vector<RowRange> taken = {};
};

enum class AssemblyWay { kLinked, kPlaced, kStitched, kReencoded };

struct AssembledFragment {
  FragmentUpdate update;
  AssemblyWay way = AssemblyWay::kStitched;
  AssemblyBytes bytes;
  int64_t bytes_beside = 0;  ///< In files that belong to the data file: large blobs.
};

/// Port: makes a fragment's data file of its checkpoints. Called on several threads at once.
class Assembler {
 public:
  virtual ~Assembler() = default;
  /// `parts` cover all `physical_rows` in row order. The file appears complete under "data/<file_name>" or not at all.
  virtual Result<AssembledFragment> Assemble(int64_t fragment_id, const std::vector<FragmentPart>& parts,
                                             int64_t physical_rows, const std::string& file_name) = 0;
  /// Checkpoints may be parts of the data file's upload: then `file_name` is only used where none is, and the name
  /// that the first of them was told where one is.
  [[nodiscard]] virtual bool takes_uploads() const { return false; }
  /// Writes the rows `part.taken` of a checkpoint into a file of their own at the key `to_key`; returns its size.
  virtual Result<int64_t> TakeRows(const FragmentPart& part, const std::string& to_key) {
    (void)to_key;
    return MakeError(ErrorKind::kUnsupported, "rows of ", part.key, " cannot be taken");
  }
  /// Aborts the upload that is announced at this key, and forgets the announcement; none is no error.
  virtual Status DropUpload(const std::string& announcement_key) {
    return MakeError(ErrorKind::kUnsupported, "there are no uploads such as ", announcement_key);
  }
  /// Bytes written so far for data files that are being made now.
  [[nodiscard]] virtual int64_t bytes_in_hand() const { return 0; }
  /// The job is ending: what is being made is to end soon, with kCancelled, and nothing is begun any more.
  virtual void Cancel() {}
};

/// Port: the process that runs the job.
class JobHost {
 public:
  virtual ~JobHost() = default;
  /// What every worker's host gets, see SetupMessage.
  virtual Result<std::string> WorkerPayload() = 0;
  /// What the function's row-failure policy says about a row that ends its workers.
  virtual RowDecision DecideRow(const RowFailure& failure) = 0;
  /// Something about the job that its user can do better; for people.
  virtual void OnNotice(const std::string& /*text*/) {}
  /// Called about ten times a second and at the end; false asks to cancel.
  virtual bool OnProgress(const JobMetrics& metrics, const std::string& phase) = 0;
};

struct JobPorts {
  TableSnapshot& snapshot;  ///< Of the version that the job starts on.
  TableTransaction& transaction;
  ObjectStore& store;  ///< Rooted at the table; its checkpoints may lie elsewhere.
  WorkerPool& pool;
  Assembler& assembler;
  JobHost& host;
  Clock& clock;
  JobRuntime& runtime = SystemRuntime();
};

}  // namespace leman
