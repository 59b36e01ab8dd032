// The port between libleman.so, which knows no Python, and the extension module that lives in the interpreter
// (python/bindings/host). Both come from one build; every method may be called from any thread, without the GIL.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "leman/leman.h"

namespace leman::api {

/// A table of a database: its name, and the version it is pinned to.
struct TableName {
  std::string name;
  std::optional<int64_t> version;
};

/// Where a table lies.
struct TablePlace {
  TableName name;
  std::string uri;
};

/// What a running backfill asks and tells.
class JobWatch {
 public:
  virtual ~JobWatch() = default;
  [[nodiscard]] virtual bool wants_progress() const = 0;
  /// Called without the GIL; throws nothing.
  virtual void Update(const Progress& progress) noexcept = 0;
  [[nodiscard]] virtual bool cancelled() const = 0;
};

/// An open database.
class Database {
 public:
  virtual ~Database() = default;

  [[nodiscard]] virtual const std::string& uri() const = 0;
  [[nodiscard]] virtual Result<std::vector<std::string>> TableNames() = 0;
  [[nodiscard]] virtual Result<TablePlace> OpenTable(const TableName& table) = 0;
  /// Takes over `*data`, unless it fails before reading it.
  [[nodiscard]] virtual Result<TablePlace> CreateTable(const std::string& name, ArrowArrayStream* data,
                                                       const CreateTableOptions& options) = 0;
  [[nodiscard]] virtual Status DropTable(const std::string& name) = 0;
  [[nodiscard]] virtual Result<std::vector<Job>> Jobs(const JobsOptions& options) = 0;
  [[nodiscard]] virtual Result<Job> GetJob(const JobId& job_id) = 0;
  [[nodiscard]] virtual Result<bool> CancelJob(const JobId& job_id) = 0;

  [[nodiscard]] virtual Result<int64_t> Version(const TableName& table) = 0;
  [[nodiscard]] virtual Result<int64_t> CountRows(const TableName& table, const std::optional<std::string>& filter) = 0;
  [[nodiscard]] virtual Status AddColumn(const TableName& table, const std::string& column, const NativeUdf& udf) = 0;
  [[nodiscard]] virtual Status AddColumn(const TableName& table, const std::string& column, const Sql& sql) = 0;
  [[nodiscard]] virtual Result<std::vector<std::string>> AddColumns(const TableName& table, const NativeUdf& udf,
                                                                    const std::string& prefix) = 0;
  [[nodiscard]] virtual Status AlterColumn(const TableName& table, const std::string& column, const NativeUdf& udf) = 0;
  [[nodiscard]] virtual Status DropColumns(const TableName& table, const std::vector<std::string>& columns) = 0;
  [[nodiscard]] virtual Result<BackfillResult> Backfill(const TableName& table, const std::string& column,
                                                        const BackfillOptions& options, JobWatch& watch) = 0;
  [[nodiscard]] virtual Result<std::vector<BackfillResult>> Backfill(const TableName& table,
                                                                     const std::vector<std::string>& columns,
                                                                     const BackfillOptions& options,
                                                                     JobWatch& watch) = 0;
  [[nodiscard]] virtual Result<std::vector<RowError>> Errors(const TableName& table, const ErrorsOptions& options) = 0;
  [[nodiscard]] virtual Result<BackfillPlan> PlanBackfill(const TableName& table, const std::string& column,
                                                          const BackfillOptions& options) = 0;
  [[nodiscard]] virtual Status Scan(const TableName& table, const ScanOptions& options, ArrowArrayStream* out) = 0;
};

/// The interpreter's side; one a process, which lives as long as the process.
class Host {
 public:
  virtual ~Host() = default;
  [[nodiscard]] virtual Result<std::shared_ptr<Database>> Connect(const std::string& uri,
                                                                  const ConnectOptions& options) = 0;
};

/// What the interpreter is started with.
struct StartRequest {
  std::string executable;  ///< The environment's interpreter; empty where one runs in this process already.
  std::string package;     ///< The folder of the leman package.
};

/// Changes with anything in this file.
constexpr uint32_t kHostInterface = 2;

/// What the extension module offers.
struct HostEntry {
  uint32_t interface_version;
  bool (*is_running)();
  /// Starts an interpreter if none runs, on the calling thread, which has to stay until the process ends; imports
  /// leman.
  Result<Host*> (*start)(const StartRequest& request);
};

/// The one symbol that it exports.
constexpr const char* kHostEntrySymbol = "leman_host_entry";
using HostEntryFunction = const HostEntry* (*)();

}  // namespace leman::api
