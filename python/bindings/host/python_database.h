// A database behind the C++ API: leman.Connection and leman.Table, called through python/leman/cpp_api.py.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/host.h"
#include "python_call.h"

namespace leman::host {

/// Every call opens its table anew: a Python table follows versions, and is no thing to share between threads.
class PythonDatabase final : public api::Database {
 public:
  /// `connection`: a leman.Connection. Needs the GIL.
  explicit PythonDatabase(nanobind::object connection);

  [[nodiscard]] const std::string& uri() const override { return uri_; }
  Result<std::vector<std::string>> TableNames() override;
  Result<api::TablePlace> OpenTable(const api::TableName& table) override;
  Result<api::TablePlace> CreateTable(const std::string& name, ArrowArrayStream* data,
                                      const CreateTableOptions& options) override;
  Status DropTable(const std::string& name) override;
  Result<std::vector<Job>> Jobs(const JobsOptions& options) override;
  Result<Job> GetJob(const JobId& job_id) override;
  Result<bool> CancelJob(const JobId& job_id) override;

  Result<int64_t> Version(const api::TableName& table) override;
  Result<int64_t> CountRows(const api::TableName& table, const std::optional<std::string>& filter) override;
  Status AddColumn(const api::TableName& table, const std::string& column, const NativeUdf& udf) override;
  Status AddColumn(const api::TableName& table, const std::string& column, const Sql& sql) override;
  Result<std::vector<std::string>> AddColumns(const api::TableName& table, const NativeUdf& udf,
                                              const std::string& prefix) override;
  Status AlterColumn(const api::TableName& table, const std::string& column, const NativeUdf& udf) override;
  Status DropColumns(const api::TableName& table, const std::vector<std::string>& columns) override;
  Result<BackfillResult> Backfill(const api::TableName& table, const std::string& column,
                                  const BackfillOptions& options, api::JobWatch& watch) override;
  Result<std::vector<BackfillResult>> Backfill(const api::TableName& table, const std::vector<std::string>& columns,
                                               const BackfillOptions& options, api::JobWatch& watch) override;
  Result<std::vector<RowError>> Errors(const api::TableName& table, const ErrorsOptions& options) override;
  Result<BackfillPlan> PlanBackfill(const api::TableName& table, const std::string& column,
                                    const BackfillOptions& options) override;
  Status Scan(const api::TableName& table, const ScanOptions& options, ArrowArrayStream* out) override;

 private:
  [[nodiscard]] nanobind::object Opened(const api::TableName& table) const;

  SharedObject connection_;
  SharedObject door_;  ///< The module leman.cpp_api.
  std::string uri_;
};

/// The host of this interpreter.
class PythonHost final : public api::Host {
 public:
  Result<std::shared_ptr<api::Database>> Connect(const std::string& uri, const ConnectOptions& options) override;
};

}  // namespace leman::host
