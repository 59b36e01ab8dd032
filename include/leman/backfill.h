/// @file
/// What a backfill takes and gives. Names and defaults are those of `Table.backfill` in Python.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace leman {
inline namespace v1 {

/// A duration in seconds.
using Seconds = std::chrono::duration<double>;

/// What to do where a function fails on a row; of a list, the first that matches.
struct OnError {
  enum class Action { kRetry, kSkip, kFail };

  Action action = Action::kFail;
  /// Names of errors: "NativeFunctionError" (what the function threw), "WorkerCrashError", "WorkerOOMError",
  /// "WorkerStallError"; empty: any.
  std::vector<std::string> errors;
  std::optional<std::string> match;         ///< Regular expression, searched in the message.
  int64_t max_attempts = 3;                 ///< kRetry: calls in all, the first one included.
  std::string backoff = "exponential";      ///< kRetry: "exponential" (1, 2, 4 … s), "fixed" or "linear".
  std::optional<int64_t> max_skip_count;    ///< kSkip: more skipped rows fail the job.
  std::optional<double> max_skip_fraction;  ///< kSkip: a greater fraction of the rows fails the job.

  static OnError Retry() { return Of(Action::kRetry); }
  static OnError Skip() { return Of(Action::kSkip); }
  static OnError Fail() { return Of(Action::kFail); }

 private:
  static OnError Of(Action action) {
    OnError made;
    made.action = action;
    return made;
  }
};

/// A function of a shared library that was built with `leman/udf.h`. The library is loaded by worker processes, never
/// by this one.
struct NativeUdf {
  std::string library;                     ///< Path of the shared library.
  std::string function;                    ///< The function's name in it.
  std::string params = "{}";               ///< Parameters of the function: a JSON object.
  std::vector<std::string> input_columns;  ///< Columns for its arguments, in order; empty: those named as they are.
  std::vector<OnError> on_error;           ///< Empty: the first failing row fails the job.
  std::optional<double> num_cpus;          ///< Of one worker thread.
  std::optional<double> num_gpus;          ///< Of one worker thread.
  std::optional<int64_t> memory;           ///< Bytes of one worker.
  std::optional<int64_t> batch_size;       ///< Rows of a call.
  std::optional<Seconds> timeout;          ///< Of one call; a longer one ends its worker, and fails its row.
  bool is_builtin = false;                 ///< One that comes with Leman; `library` is empty then.

  /// A function that comes with Leman (`docs/builtin_functions.md`).
  static NativeUdf Builtin(std::string function, std::string params = "{}") {
    NativeUdf made;
    made.function = std::move(function);
    made.params = std::move(params);
    made.is_builtin = true;
    return made;
  }
};

/// An SQL expression over the columns of a table.
struct Sql {
  std::string expression;
};

/// How a job goes on.
struct Progress {
  std::string job_id;
  std::string column;             ///< Which it fills; of those that one function fills together "a, b".
  std::string phase;              ///< "planning", "computing", "assembling", …
  int64_t rows_total = 0;         ///< Rows that the job is about.
  int64_t rows_computed = 0;      ///< Rows that this run has computed.
  int64_t rows_checkpointed = 0;  ///< Rows that are safe, those of earlier runs included.
  int64_t fragments_total = 0;
  int64_t fragments_assembled = 0;
  int64_t fragments_committed = 0;  ///< Fragments whose values readers see.
  int64_t bytes_assembled = 0;
  int64_t bytes_to_assemble = 0;
  int64_t workers = 0;  ///< Worker processes that are connected.
  double rows_per_s = 0;
  double elapsed_s = 0;
};

/// Asks a backfill to stop, from any thread. Copies are the same token.
class CancelToken {
 public:
  CancelToken() : cancelled_(std::make_shared<std::atomic<bool>>(false)) {}

  /// What was computed is kept; the same backfill resumes. It returns with ErrorKind::kCancelled.
  void Cancel() const { *cancelled_ = true; }
  [[nodiscard]] bool cancelled() const { return *cancelled_; }

 private:
  std::shared_ptr<std::atomic<bool>> cancelled_;
};

/// The arguments of a backfill; those that are left out are as in Python.
struct BackfillOptions {
  /// Columns for the function's arguments in order, instead of those registered.
  std::optional<std::vector<std::string>> input_columns;
  std::optional<NativeUdf> udf;                       ///< The function for this job, instead of the column's.
  std::optional<std::string> where;                   ///< SQL condition that selects the rows to compute.
  int64_t concurrency = 8;                            ///< Worker processes; never more than there are tasks.
  int64_t intra_applier_concurrency = 1;              ///< Threads in each worker process.
  double refresh_status_secs = 2.0;                   ///< Seconds between updates of the job's record.
  std::optional<int64_t> commit_granularity = 64;     ///< Fragments a partial commit; nullopt: one commit at the end.
  std::optional<int64_t> read_version;                ///< The table version to read; by default the latest.
  std::optional<int64_t> task_shuffle_diversity = 8;  ///< Fragments whose tasks are interleaved.
  /// Rows read at once, by default 10,240; a value given here is also the number of rows of a checkpoint.
  std::optional<int64_t> batch_size;
  std::optional<int64_t> num_frags;                   ///< Compute at most this many fragments.
  int64_t skip_frags = 0;                             ///< Leave out this many fragments first.
  std::optional<int64_t> task_size;                   ///< Rows of a task.
  std::optional<int64_t> checkpoint_size;             ///< Rows of a checkpoint.
  std::optional<int64_t> min_checkpoint_size;         ///< Rows of a checkpoint at least, where Leman chooses.
  std::optional<int64_t> max_checkpoint_size;         ///< Rows of a checkpoint at most, where Leman chooses.
  std::optional<double> num_cpus;                     ///< Of one worker thread.
  std::optional<double> num_gpus;                     ///< Of one worker thread.
  std::optional<int64_t> memory;                      ///< Bytes of one worker.
  std::map<std::string, double> resources;            ///< On a cluster: custom resources of one worker.
  std::map<std::string, std::string> label_selector;  ///< On a cluster: labels of the nodes for workers.
  std::optional<std::string> executor;                ///< "local" or "ray"; by default LEMAN_EXECUTOR, or here.
  std::optional<Seconds> timeout;                     ///< The job stops then, as if cancelled.
  std::optional<Seconds> stall_timeout;               ///< Without progress for so long, a worker process is replaced.
  bool retry_failed = false;                          ///< Compute only the rows that earlier jobs skipped.
  std::optional<std::string> job_id;                  ///< A name for the job: letters, digits, '-' and '_'.

  /// Told how the job goes on, several times a second, on a thread that is not told; one call at a time. It may cancel
  /// the job. What it throws stops the job and comes out of the backfill.
  ///
  /// Where it is empty nothing is shown: unlike Python's, a program's terminal is its own.
  std::function<void(const Progress&)> progress;
  bool show_progress = false;  ///< Show bars on a terminal, or lines elsewhere, on stderr, as Python does.
  CancelToken cancel;          ///< Keep a copy, and call its Cancel().
};

/// A job's name.
using JobId = std::string;

/// How a backfill ended; it converts to its job's id.
struct BackfillResult {
  JobId job_id;
  std::string column;               ///< Which it filled; of those that one function fills together "a, b".
  int64_t rows_total = 0;           ///< Rows that the job was about.
  int64_t rows_computed = 0;        ///< Rows that it computed.
  int64_t rows_skipped = 0;         ///< Rows that it left null because of an error.
  int64_t fragments_total = 0;      ///< Fragments that the job was about.
  int64_t fragments_committed = 0;  ///< Fragments that it committed.
  std::optional<int64_t> version;   ///< The table's version after the last commit.
  double duration_s = 0;

  operator JobId() const { return job_id; }  // NOLINT(google-explicit-constructor): as in Python, it is the id.
};

/// What a backfill would do.
struct BackfillPlan {
  int64_t rows_total = 0;      ///< Rows that the job is about.
  int64_t rows_resumed = 0;    ///< Of these, rows that checkpoints of earlier runs hold.
  int64_t fragments = 0;       ///< Fragments to fill.
  int64_t fragments_done = 0;  ///< Fragments with nothing to do.
  int64_t tasks = 0;
  int64_t task_rows = 0;  ///< Rows that a task aims at.
  int64_t workers = 0;    ///< Worker processes.
  std::string text;       ///< All of it for people.
};

}  // namespace v1
}  // namespace leman
