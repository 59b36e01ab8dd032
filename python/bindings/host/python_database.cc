#include "python_database.h"

#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <utility>

#include "arguments.h"
#include "job_port.h"

namespace leman::host {
namespace nb = nanobind;
namespace {

template <typename T>
T Field(const nb::handle& object, const char* name) {
  return nb::cast<T>(object.attr(name));
}

std::optional<Time> TimeFrom(const nb::handle& fields, const char* name) {
  const auto seconds = nb::cast<std::optional<double>>(fields[name]);
  if (!seconds) return std::nullopt;
  return Time(std::chrono::duration_cast<Time::duration>(Seconds(*seconds)));
}

Job JobFrom(const nb::handle& fields) {
  Job job;
  job.job_id = nb::cast<std::string>(fields["job_id"]);
  job.table_name = nb::cast<std::string>(fields["table_name"]);
  job.column = nb::cast<std::string>(fields["column"]);
  job.status = nb::cast<std::string>(fields["status"]);
  job.launched_at = TimeFrom(fields, "launched_at");
  job.updated_at = TimeFrom(fields, "updated_at");
  job.completed_at = TimeFrom(fields, "completed_at");
  job.error = nb::cast<std::optional<std::string>>(fields["error"]);
  job.error_type = nb::cast<std::optional<std::string>>(fields["error_type"]);
  job.metrics = nb::cast<std::map<std::string, double>>(fields["metrics"]);
  return job;
}

BackfillResult ResultFrom(const nb::handle& ended) {
  BackfillResult result;
  result.job_id = Field<std::string>(ended, "job_id");
  result.column = Field<std::string>(ended, "column");
  result.rows_total = Field<int64_t>(ended, "rows_total");
  result.rows_computed = Field<int64_t>(ended, "rows_computed");
  result.rows_skipped = Field<int64_t>(ended, "rows_skipped");
  result.fragments_total = Field<int64_t>(ended, "fragments_total");
  result.fragments_committed = Field<int64_t>(ended, "fragments_committed");
  result.version = Field<std::optional<int64_t>>(ended, "version");
  result.duration_s = Field<double>(ended, "duration_s");
  return result;
}

RowError RowErrorFrom(const nb::handle& found) {
  RowError error;
  error.job_id = Field<std::string>(found, "job_id");
  error.column_name = Field<std::string>(found, "column_name");
  error.udf_name = Field<std::string>(found, "udf_name");
  error.udf_version = Field<std::string>(found, "udf_version");
  error.fragment_id = Field<int64_t>(found, "fragment_id");
  error.row = Field<int64_t>(found, "row");
  error.row_address = Field<uint64_t>(found, "row_address");
  error.error_type = Field<std::string>(found, "error_type");
  error.error_message = Field<std::string>(found, "error_message");
  error.traceback = Field<std::string>(found, "traceback");
  error.attempts = Field<int64_t>(found, "attempts");
  error.timestamp = Field<std::string>(found, "timestamp");
  error.table_version = Field<std::optional<int64_t>>(found, "table_version");
  return error;
}

api::TablePlace PlaceOf(const api::TableName& name, const nb::handle& table) {
  return {name, Field<std::string>(table, "uri")};
}

Unit Done(const nb::object&) { return {}; }

}  // namespace

PythonDatabase::PythonDatabase(nb::object connection)
    : connection_(std::move(connection)),
      door_(nb::module_::import_("leman.cpp_api")),
      uri_(Field<std::string>(connection_.get(), "uri")) {}

nb::object PythonDatabase::Opened(const api::TableName& table) const {
  return door_.get().attr("table")(connection_.get(), table.name, table.version);
}

Result<std::vector<std::string>> PythonDatabase::TableNames() {
  return WithPython([&] { return nb::cast<std::vector<std::string>>(connection_.get().attr("table_names")()); });
}

Result<api::TablePlace> PythonDatabase::OpenTable(const api::TableName& table) {
  return WithPython([&] { return PlaceOf(table, connection_.get().attr("open_table")(table.name, table.version)); });
}

Result<api::TablePlace> PythonDatabase::CreateTable(const std::string& name, ArrowArrayStream* data,
                                                    const CreateTableOptions& options) {
  return WithPython([&] {
    const auto address = reinterpret_cast<uintptr_t>(data);
    return PlaceOf({name, {}},
                   door_.get().attr("create_table")(connection_.get(), name, address, ArgumentsOf(options)));
  });
}

Status PythonDatabase::DropTable(const std::string& name) {
  return WithPython([&] { return Done(connection_.get().attr("drop_table")(name)); });
}

Result<std::vector<Job>> PythonDatabase::Jobs(const JobsOptions& options) {
  return WithPython([&] {
    std::vector<Job> jobs;
    for (const nb::handle fields : door_.get().attr("jobs")(connection_.get(), options.table_name, options.status)) {
      jobs.push_back(JobFrom(fields));
    }
    return jobs;
  });
}

Result<Job> PythonDatabase::GetJob(const JobId& job_id) {
  return WithPython([&] { return JobFrom(door_.get().attr("job")(connection_.get(), job_id)); });
}

Result<bool> PythonDatabase::CancelJob(const JobId& job_id) {
  return WithPython([&] { return nb::cast<bool>(door_.get().attr("cancel_job")(connection_.get(), job_id)); });
}

Result<int64_t> PythonDatabase::Version(const api::TableName& table) {
  return WithPython([&] { return Field<int64_t>(Opened(table), "version"); });
}

Result<int64_t> PythonDatabase::CountRows(const api::TableName& table, const std::optional<std::string>& filter) {
  return WithPython([&] { return nb::cast<int64_t>(Opened(table).attr("count_rows")(filter)); });
}

Status PythonDatabase::AddColumn(const api::TableName& table, const std::string& column, const NativeUdf& udf) {
  return WithPython([&] {
    nb::dict transforms;
    transforms[nb::cast(column)] = FunctionOf(udf);
    return Done(Opened(table).attr("add_columns")(transforms));
  });
}

Status PythonDatabase::AddColumn(const api::TableName& table, const std::string& column, const Sql& sql) {
  return WithPython([&] {
    nb::dict transforms;
    transforms[nb::cast(column)] = nb::cast(sql.expression);
    return Done(Opened(table).attr("add_columns")(transforms));
  });
}

Result<std::vector<std::string>> PythonDatabase::AddColumns(const api::TableName& table, const NativeUdf& udf,
                                                            const std::string& prefix) {
  return WithPython([&] {
    return nb::cast<std::vector<std::string>>(door_.get().attr("add_columns")(Opened(table), FunctionOf(udf), prefix));
  });
}

Status PythonDatabase::AlterColumn(const api::TableName& table, const std::string& column, const NativeUdf& udf) {
  return WithPython([&] {
    nb::dict alteration;
    alteration["path"] = column;
    alteration["udf"] = FunctionOf(udf);
    return Done(Opened(table).attr("alter_columns")(alteration));
  });
}

Status PythonDatabase::DropColumns(const api::TableName& table, const std::vector<std::string>& columns) {
  return WithPython([&] { return Done(Opened(table).attr("drop_columns")(columns)); });
}

Result<BackfillResult> PythonDatabase::Backfill(const api::TableName& table, const std::string& column,
                                                const BackfillOptions& options, api::JobWatch& watch) {
  return WithPython([&] {
    const nb::object port = nb::cast(JobPort(watch));
    const nb::object sink = watch.wants_progress() ? port : nb::object(nb::cast(options.show_progress));
    const nb::object ended = door_.get().attr("backfill")(Opened(table), column, ArgumentsOf(options), sink, port);
    return ResultFrom(ended);
  });
}

Result<std::vector<BackfillResult>> PythonDatabase::Backfill(const api::TableName& table,
                                                             const std::vector<std::string>& columns,
                                                             const BackfillOptions& options, api::JobWatch& watch) {
  return WithPython([&] {
    const nb::object port = nb::cast(JobPort(watch));
    const nb::object sink = watch.wants_progress() ? port : nb::object(nb::cast(options.show_progress));
    std::vector<BackfillResult> results;
    const nb::object ended =
        door_.get().attr("backfill_several")(Opened(table), columns, ArgumentsOf(options), sink, port);
    for (const nb::handle result : ended) results.push_back(ResultFrom(result));
    return results;
  });
}

Result<std::vector<RowError>> PythonDatabase::Errors(const api::TableName& table, const ErrorsOptions& options) {
  return WithPython([&] {
    std::vector<RowError> errors;
    for (const nb::handle found :
         Opened(table).attr("get_errors")(nb::arg("job_id") = options.job_id,
         nb::arg("column_name") = options.column_name, nb::arg("error_type") = options.error_type)) {
      errors.push_back(RowErrorFrom(found));
    }
    return errors;
  });
}

Result<BackfillPlan> PythonDatabase::PlanBackfill(const api::TableName& table, const std::string& column,
                                                  const BackfillOptions& options) {
  return WithPython([&] {
    const nb::object planned = door_.get().attr("plan")(Opened(table), column, ArgumentsOf(options));
    BackfillPlan plan;
    plan.rows_total = Field<int64_t>(planned, "rows_total");
    plan.rows_resumed = Field<int64_t>(planned, "rows_resumed");
    plan.fragments = Field<int64_t>(planned, "fragments");
    plan.fragments_done = Field<int64_t>(planned, "fragments_done");
    plan.tasks = Field<int64_t>(planned, "tasks");
    plan.task_rows = Field<int64_t>(planned, "task_rows");
    plan.workers = Field<int64_t>(planned, "workers");
    plan.text = Field<std::string>(planned, "text");
    return plan;
  });
}

Status PythonDatabase::Scan(const api::TableName& table, const ScanOptions& options, ArrowArrayStream* out) {
  return WithPython([&] {
    const nb::object reader = door_.get().attr("scan")(Opened(table), ArgumentsOf(options));
    const nb::object capsule = reader.attr("__arrow_c_stream__")();
    auto* stream = static_cast<ArrowArrayStream*>(PyCapsule_GetPointer(capsule.ptr(), "arrow_array_stream"));
    if (stream == nullptr) throw nb::python_error();
    *out = *stream;
    stream->release = nullptr;
    return Unit{};
  });
}

Result<std::shared_ptr<api::Database>> PythonHost::Connect(const std::string& uri, const ConnectOptions& options) {
  return WithPython([&]() -> std::shared_ptr<api::Database> {
    const nb::object storage_options =
        options.storage_options.empty() ? nb::none() : nb::object(nb::cast(options.storage_options));
    return std::make_shared<PythonDatabase>(nb::module_::import_("leman").attr("connect")(
        uri, storage_options, nb::arg("trust_stored_udfs") = options.trust_stored_udfs,
        nb::arg("checkpoint_uri") = options.checkpoint_uri));
  });
}

}  // namespace leman::host
