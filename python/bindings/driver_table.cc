#include "driver_table.h"

#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <tuple>
#include <vector>

#include "python_error.h"

namespace leman::python {
namespace nb = nanobind;
namespace {

// Runs `body` with the GIL and turns what it throws into an Error.
template <typename Body>
auto WithPython(const Body& body) -> Result<decltype(body())> {
  const nb::gil_scoped_acquire gil;
  try {
    return body();
  } catch (const nb::python_error& exception) {
    return ErrorOf(exception, ErrorKind::kInternal);
  } catch (const nb::cast_error&) {
    return MakeError(ErrorKind::kInternal, "the host gave a value of an unexpected type");
  }
}

std::vector<FragmentInfo> FragmentsFrom(const nb::object& described) {
  std::vector<FragmentInfo> fragments;
  fragments.reserve(nb::len(described));
  for (const nb::handle item : described) {
    const auto tuple = nb::borrow<nb::tuple>(item);
    fragments.push_back({nb::cast<int64_t>(tuple[0]), nb::cast<int64_t>(tuple[1]), nb::cast<int64_t>(tuple[2]),
                         nb::cast<std::string>(tuple[3]), nb::cast<std::string>(tuple[4]),
                         nb::cast<std::string>(tuple[5])});
  }
  return fragments;
}

template <typename T>
void Read(const nb::dict& request, const char* name, T& value) {
  value = nb::cast<T>(request[name]);
}

}  // namespace

Result<std::vector<FragmentInfo>> PythonTable::Fragments() {
  return WithPython([&] { return FragmentsFrom(table_.attr("fragments")()); });
}

Result<std::map<int64_t, int64_t>> PythonTable::CountSelected(const std::string& filter,
                                                              const std::vector<int64_t>& fragment_ids) {
  return WithPython(
      [&] { return nb::cast<std::map<int64_t, int64_t>>(table_.attr("count_selected")(filter, fragment_ids)); });
}

Result<TableHistory> PythonTable::HistoryOf(const std::vector<std::string>& names) {
  return WithPython([&] {
    const auto told = nb::cast<nb::tuple>(table_.attr("history_of")(names));
    TableHistory history;
    for (const nb::handle item : told[0]) {
      const auto update = nb::borrow<nb::tuple>(item);
      history.updates.push_back({nb::cast<std::string>(update[0]), nb::cast<bool>(update[1]), nb::cast<bool>(update[2]),
                                 FragmentsFrom(update[3]), nb::cast<bool>(update[4])});
    }
    for (const nb::handle item : told[1]) {
      const auto group = nb::borrow<nb::tuple>(item);
      Rewrite rewrite;
      rewrite.version = nb::cast<int64_t>(group[0]);
      auto dropped = nb::cast<std::vector<std::vector<int64_t>>>(group[2]);
      for (FragmentInfo& fragment : FragmentsFrom(group[1])) {
        rewrite.from.push_back({std::move(fragment), std::move(dropped.at(rewrite.from.size()))});
      }
      rewrite.to = FragmentsFrom(group[3]);
      history.rewrites.push_back(std::move(rewrite));
    }
    return history;
  });
}

Result<bool> PythonTable::KeptOrder(const Rewrite& rewrite) {
  std::vector<int64_t> from;
  std::vector<int64_t> to;
  for (const RewriteSource& source : rewrite.from) from.push_back(source.fragment.id);
  for (const FragmentInfo& fragment : rewrite.to) to.push_back(fragment.id);
  return WithPython([&] { return nb::cast<bool>(table_.attr("kept_order")(rewrite.version, from, to)); });
}

Result<std::map<int64_t, std::vector<int64_t>>> PythonTable::RowsNow(
    const std::map<int64_t, std::vector<int64_t>>& rows, int64_t since_version) {
  return WithPython(
      [&] { return nb::cast<std::map<int64_t, std::vector<int64_t>>>(table_.attr("rows_now")(rows, since_version)); });
}

Result<int64_t> PythonTable::MoveToLatest() {
  return WithPython([&] { return nb::cast<int64_t>(table_.attr("move_to_latest")()); });
}

Result<int64_t> PythonTable::LatestVersion() {
  return WithPython([&] { return nb::cast<int64_t>(table_.attr("latest_version")()); });
}

Result<std::vector<FragmentInfo>> PythonTable::Inspect(int64_t version, const std::vector<int64_t>& fragment_ids) {
  return WithPython([&] { return FragmentsFrom(table_.attr("inspect")(version, fragment_ids)); });
}

Result<int64_t> PythonTable::Commit(int64_t read_version, const std::vector<FragmentUpdate>& updates,
                                    const CommitMark& mark) {
  return WithPython([&] {
    std::vector<std::tuple<int64_t, std::string, int64_t>> files;
    files.reserve(updates.size());
    for (const FragmentUpdate& update : updates) {
      files.emplace_back(update.fragment_id, update.file_name, update.size_bytes);
    }
    return nb::cast<int64_t>(table_.attr("commit")(read_version, files, mark.job_id, mark.sequence));
  });
}

Result<std::optional<int64_t>> PythonTable::FindMark(int64_t since_version, const CommitMark& mark) {
  return WithPython([&] {
    return nb::cast<std::optional<int64_t>>(table_.attr("find_mark")(since_version, mark.job_id, mark.sequence));
  });
}

Result<std::vector<TableChange>> PythonTable::Changes(int64_t since_version, int64_t until_version) {
  return WithPython([&] {
    using Row = std::tuple<int64_t, std::string, bool>;
    std::vector<TableChange> changes;
    for (auto& [version, operation, moves] :
         nb::cast<std::vector<Row>>(table_.attr("changes")(since_version, until_version))) {
      changes.push_back({version, std::move(operation), moves});
    }
    return changes;
  });
}

Status PythonTable::MarkDone(const std::string& udf_version) {
  return WithPython([&] {
    table_.attr("mark_done")(udf_version);
    return Unit{};
  });
}

Result<std::string> PythonJobHost::WorkerPayload() {
  return WithPython([&] {
    const auto payload = nb::cast<nb::bytes>(host_.attr("worker_payload")());
    return std::string(payload.c_str(), payload.size());
  });
}

RowDecision PythonJobHost::DecideRow(const RowFailure& failure) {
  const auto decision = WithPython(
      [&] { return nb::cast<int>(host_.attr("decide_row")(failure.error_type, failure.message, failure.attempts)); });
  // A policy that raises decides nothing: the row then fails the job, with its own error.
  if (!decision.ok()) return RowDecision::kFail;
  return *decision == 1 ? RowDecision::kSkip : *decision == 2 ? RowDecision::kRetry : RowDecision::kFail;
}

void PythonJobHost::OnNotice(const std::string& text) {
  // It is in the job's record, too.
  (void)WithPython([&] {
    host_.attr("on_notice")(text);
    return Unit{};
  });
}

bool PythonJobHost::OnProgress(const JobMetrics& metrics, const std::string& phase) {
  const nb::gil_scoped_acquire gil;
  try {
    if (PyErr_CheckSignals() != 0) throw nb::python_error();
    return nb::cast<bool>(host_.attr("on_progress")(MetricsDict(metrics), phase));
  } catch (nb::python_error& exception) {
    // Ctrl-C, or a progress sink that failed: the job stops, and the host raises it again afterwards.
    try {
      host_.attr("interrupt") = nb::borrow(exception.value());
    } catch (nb::python_error& second) {
      second.discard_as_unraisable("keeping an exception");
    }
    return false;
  }
}

BackfillSpec SpecFrom(const nb::dict& request) {
  BackfillSpec spec;
  Read(request, "job_id", spec.job_id);
  Read(request, "table_name", spec.table_name);
  Read(request, "table_root", spec.table_root);
  Read(request, "checkpoint_root", spec.checkpoint_root);
  Read(request, "column", spec.column);
  Read(request, "columns", spec.columns);
  Read(request, "udf_name", spec.udf_name);
  Read(request, "udf_version", spec.udf_version);
  Read(request, "output_type", spec.output_type);
  Read(request, "value_bytes", spec.value_bytes);
  Read(request, "copies_in_store", spec.copies_in_store);
  Read(request, "where", spec.where);
  Read(request, "where_reads_output", spec.where_reads_output);
  Read(request, "done_version", spec.done_version);
  Read(request, "read_version", spec.read_version);
  Read(request, "concurrency", spec.concurrency);
  Read(request, "intra_applier_concurrency", spec.intra_applier_concurrency);
  Read(request, "refresh_status_secs", spec.refresh_status_secs);
  Read(request, "commit_granularity", spec.commit_granularity);
  Read(request, "task_shuffle_diversity", spec.task_shuffle_diversity);
  Read(request, "batch_size", spec.batch_size);
  Read(request, "batch_size_fixed", spec.batch_size_fixed);
  Read(request, "first_call_rows", spec.first_call_rows);
  Read(request, "rows_in_flight", spec.rows_in_flight);
  Read(request, "input_columns", spec.input_columns);
  Read(request, "checkpoint_rows", spec.checkpoint_rows);
  Read(request, "min_checkpoint_rows", spec.min_checkpoint_rows);
  Read(request, "max_checkpoint_rows", spec.max_checkpoint_rows);
  Read(request, "task_rows", spec.task_rows);
  Read(request, "num_frags", spec.num_frags);
  Read(request, "skip_frags", spec.skip_frags);
  Read(request, "memory_bytes", spec.memory_bytes);
  Read(request, "timeout_s", spec.timeout_s);
  Read(request, "stall_timeout_s", spec.stall_timeout_s);
  Read(request, "only_rows", spec.only_rows);
  Read(request, "jobs_running_here", spec.jobs_running_here);
  Read(request, "max_skip_count", spec.max_skip_count);
  Read(request, "max_skip_fraction", spec.max_skip_fraction);
  return spec;
}

nb::dict MetricsDict(const JobMetrics& m) {
  nb::dict dict;
  VisitMetrics(
      m, [&dict](const char* name, int64_t value) { dict[name] = value; },
      [&dict](const char* name, double value) { dict[name] = value; });
  dict["rows_in_hand"] = m.rows_in_hand;
  dict["bytes_in_assembly"] = m.bytes_in_assembly;
  dict["rows_resumed"] = m.rows_resumed;
  return dict;
}

}  // namespace leman::python
