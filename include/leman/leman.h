/// @file
/// Leman's C++ API: fill columns of Lance tables with native functions. Link `leman::leman` of the CMake package
/// (`-Dleman_DIR="$(leman --cmake-dir)"`), or libleman.so beside it.
///
///     auto db = leman::Connect("./db").value();
///     auto table = db.OpenTable("texts").value();
///     leman::NativeUdf word_count{"libfeatures.so", "word_count"};
///     table.AddColumn("n_words", word_count).value();
///     leman::JobId job = table.Backfill("n_words").value();
///
/// Every function returns a Result: value() throws its error, ok() and error() tell it. Errors have the texts of the
/// Python API. All of it may be called from any number of threads; a Connection or Table is a handle, whose copies are
/// the same. After fork() without exec, a child has to leave it alone, and is told so.
///
/// The first Connect starts what reads and writes Lance, an interpreter of the environment that libleman.so is
/// installed in (docs/cpp_api.md); native functions run in worker processes and never meet its lock.
#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "leman/backfill.h"
#include "leman/result.h"
#include "leman/udf_abi.h"

#if defined(_LIBCPP_VERSION) || (defined(_GLIBCXX_USE_CXX11_ABI) && !_GLIBCXX_USE_CXX11_ABI)
#error \
    "libleman.so takes and gives types of libstdc++ with its C++11 ABI; compile with GCC 5 or newer, or Clang with libstdc++"
#endif

#ifndef ARROW_C_STREAM_INTERFACE
#define ARROW_C_STREAM_INTERFACE
extern "C" {
/// The Arrow C stream interface: https://arrow.apache.org/docs/format/CStreamInterface.html
struct ArrowArrayStream {
  int (*get_schema)(struct ArrowArrayStream*, struct ArrowSchema* out);
  int (*get_next)(struct ArrowArrayStream*, struct ArrowArray* out);
  const char* (*get_last_error)(struct ArrowArrayStream*);
  void (*release)(struct ArrowArrayStream*);
  void* private_data;
};
}
#endif  // ARROW_C_STREAM_INTERFACE

namespace leman {
inline namespace v1 {

/// Moments, as jobs record them.
using Time = std::chrono::system_clock::time_point;

/// How to open a database.
struct ConnectOptions {
  /// Credentials and settings of the object store; never written to tables, records or logs.
  std::map<std::string, std::string> storage_options;
  /// Run functions that are stored in the tables, whoever signed them. Only where nobody else can write.
  bool trust_stored_udfs = false;
  /// Where jobs keep their checkpoints: a folder that all workers share, or an object store prefix. By default what
  /// LEMAN_CHECKPOINT_URI says, or else each table itself.
  std::optional<std::string> checkpoint_uri;
};

/// How to make a table.
struct CreateTableOptions {
  std::string mode = "create";                      ///< "create", or "overwrite" to replace a table of that name.
  bool exist_ok = false;                            ///< Open a table of that name as it is, instead of an error.
  std::optional<int64_t> max_rows_per_file;         ///< Rows of a fragment at most.
  std::optional<std::string> data_storage_version;  ///< Of Lance's files, e.g. "2.1".
};

/// What of a table to read.
struct ScanOptions {
  std::optional<std::vector<std::string>> columns;  ///< In this order; by default all.
  std::optional<std::string> filter;                ///< SQL condition that selects rows.
  std::optional<int64_t> limit;                     ///< Rows at most.
  std::optional<int64_t> offset;                    ///< Rows to leave out first.
  std::optional<int64_t> batch_size;                ///< Rows of a batch.
};

/// Which jobs to list.
struct JobsOptions {
  std::optional<std::string> table_name;  ///< Only jobs of this table.
  std::optional<std::string> status;      ///< Only PENDING, RUNNING, DONE, FAILED, CANCELLED or LOST ones.
};

/// Which rows that jobs skipped to list.
struct ErrorsOptions {
  std::optional<std::string> job_id;       ///< Only those of this job.
  std::optional<std::string> column_name;  ///< Only those of this column.
  std::optional<std::string> error_type;   ///< Only those of this error: "NativeFunctionError", "WorkerCrashError", …
};

/// A row that a job left null, because its function failed on it and `on_error` said to skip it.
struct RowError {
  JobId job_id;
  std::string column_name;
  std::string udf_name;
  std::string udf_version;
  int64_t fragment_id = 0;
  int64_t row = 0;           ///< Physical row of the fragment.
  uint64_t row_address = 0;  ///< Both, as Lance's `_rowaddr`.
  std::string error_type;    ///< Name of the exception.
  std::string error_message;
  std::string traceback;                 ///< Of Python functions.
  int64_t attempts = 0;                  ///< How often the function was called on the row.
  std::string timestamp;                 ///< When, UTC, as ISO 8601.
  std::optional<int64_t> table_version;  ///< Of which `row_address` is; others may have moved the row since.
};

/// A backfill, as its record tells.
struct Job {
  JobId job_id;
  std::string table_name;
  std::string column;
  std::string status;  ///< PENDING, RUNNING, DONE, FAILED or CANCELLED; FAILED also where its driver died; LOST: see
                       ///< guide.md, "Jobs".
  std::optional<Time> launched_at;
  std::optional<Time> updated_at;
  std::optional<Time> completed_at;
  std::optional<std::string> error;       ///< Why it failed or was cancelled.
  std::optional<std::string> error_type;  ///< Name of the error.
  std::map<std::string, double> metrics;  ///< Counts and times: docs/formats/job_record.md.
};

class Table;

/// A database: a folder, or object store prefix, of `<name>.lance` tables. Made by Connect; a handle, cheap to copy.
class LEMAN_API Connection {
 public:
  /// The folder, absolute, or the object store prefix.
  [[nodiscard]] const std::string& uri() const;

  /// Names of all tables, sorted.
  [[nodiscard]] Result<std::vector<std::string>> TableNames() const;

  /// Opens a table.
  /// @param name Its name.
  /// @param version The version to read; such a table cannot be changed. By default the table follows the latest one.
  /// @return TableNotFoundError where there is none, ValueError where there is no such version.
  [[nodiscard]] Result<Table> OpenTable(const std::string& name, std::optional<int64_t> version = {}) const;

  /// Makes a table of what a stream gives.
  /// @param name Letters, digits, '_', '-' and '.'.
  /// @param data The rows. It is taken over, and released, also where there is an error. Its callbacks are called from
  ///        other threads, one at a time.
  /// @param options How.
  /// @return ValueError where the table exists or an argument is wrong.
  [[nodiscard]] Result<Table> CreateTable(const std::string& name, ArrowArrayStream* data,
                                          const CreateTableOptions& options = {}) const;

  /// Deletes a table with all its versions, checkpoints and records.
  [[nodiscard]] Status DropTable(const std::string& name) const;

  /// The records of jobs, newest first.
  [[nodiscard]] Result<std::vector<Job>> Jobs(const JobsOptions& options = {}) const;

  /// The record of a job; JobNotFoundError where no table has one.
  [[nodiscard]] Result<Job> GetJob(const JobId& job_id) const;

  /// Asks the process that runs a job, which may be another one, to stop it; false where the job is over.
  [[nodiscard]] Result<bool> CancelJob(const JobId& job_id) const;

  /// What it consists of is not part of the interface.
  class Impl;
  explicit Connection(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

 private:
  std::shared_ptr<const Impl> impl_;
};

/// Opens a database; the folder need not exist yet.
/// @param uri A folder, or an object store prefix such as "s3://bucket/db".
/// @return kInvalidArgument where an argument is wrong, kEnvironment where Leman's Python cannot be used.
[[nodiscard]] LEMAN_API Result<Connection> Connect(const std::string& uri, const ConnectOptions& options = {});

/// A Lance table. Made by a Connection; a handle, cheap to copy.
class LEMAN_API Table {
 public:
  [[nodiscard]] const std::string& name() const;
  /// Where it lies.
  [[nodiscard]] const std::string& uri() const;

  /// Its version: the latest, or the one that it was opened at.
  [[nodiscard]] Result<int64_t> Version() const;

  /// The number of rows, or of those that an SQL condition selects.
  [[nodiscard]] Result<int64_t> CountRows(const std::optional<std::string>& filter = {}) const;

  /// Adds a column that a native function fills: it is null until a backfill.
  /// @return TypeError where a column does not fit the argument that it is bound to, ColumnNotFoundError where one is
  ///         missing, ValueError where the library is none, has no such function, or the name is taken.
  [[nodiscard]] Status AddColumn(const std::string& name, const NativeUdf& udf) const;
  /// Adds a column and computes it at once.
  [[nodiscard]] Status AddColumn(const std::string& name, const Sql& sql) const;

  /// Adds a column for each field of the function's results, which are structs. They are filled, altered and dropped
  /// together: a Backfill of one fills them all.
  /// @param udf The function.
  /// @param prefix Put before the name of each field to make the column's.
  /// @return The names of the columns. TypeError where results are no structs, else as of AddColumn.
  [[nodiscard]] Result<std::vector<std::string>> AddColumns(const NativeUdf& udf, const std::string& prefix = "") const;

  /// Gives a column another function; the next backfill computes every row with it.
  [[nodiscard]] Status AlterColumn(const std::string& name, const NativeUdf& udf) const;

  /// Drops columns; their values stay readable in older versions.
  [[nodiscard]] Status DropColumns(const std::vector<std::string>& names) const;

  /// Fills a column with its function, and waits for the end. What has been computed is not computed again; a job that
  /// was interrupted resumes when it is called again.
  /// @return The job's id and how it ended; an error of an argument before any work.
  Result<BackfillResult> Backfill(const std::string& column, const BackfillOptions& options = {}) const;

  /// Fills several columns, one job after the other, each after those that its function reads; inputs that they share
  /// are read once. Every argument is checked before the first job starts.
  /// @param options For all jobs; `udf`, `input_columns`, `job_id` and `read_version` are for one column only.
  /// @return How each job ended, in the order in which they ran; or the error of the first that did not end well: what
  ///         those before it filled stays filled.
  Result<std::vector<BackfillResult>> Backfill(const std::vector<std::string>& columns,
                                               const BackfillOptions& options = {}) const;
  /// The same, of `{"a", "b"}`.
  Result<std::vector<BackfillResult>> Backfill(std::initializer_list<std::string> columns,
                                               const BackfillOptions& options = {}) const {
    return Backfill(std::vector<std::string>(columns), options);
  }

  /// The rows that jobs skipped because the function failed on them.
  [[nodiscard]] Result<std::vector<RowError>> Errors(const ErrorsOptions& options = {}) const;

  /// What a backfill would do now, without running it.
  [[nodiscard]] Result<BackfillPlan> PlanBackfill(const std::string& column, const BackfillOptions& options = {}) const;

  /// Reads the table.
  /// @param out Filled with a stream, which the caller releases; untouched where there is an error. Pulling batches
  ///        reads from storage, and may be done in any thread.
  /// @return ColumnNotFoundError, or ValueError where the filter cannot be used.
  [[nodiscard]] Status Scan(ArrowArrayStream* out, const ScanOptions& options = {}) const;

  /// What it consists of is not part of the interface.
  class Impl;
  explicit Table(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

 private:
  std::shared_ptr<const Impl> impl_;
};

}  // namespace v1
}  // namespace leman
