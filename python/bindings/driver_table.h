// The driver's ports over Python objects: LanceTable and DriverHost (python/leman/lance_table.py, job_runner.py).
#pragma once

#include <nanobind/nanobind.h>

#include <optional>
#include <string>

#include "job/job_ports.h"
#include "model/backfill_spec.h"

namespace leman::python {

/// Called without the GIL, from several threads.
class PythonTable final : public TableSnapshot, public TableTransaction {
 public:
  explicit PythonTable(nanobind::object table) : table_(std::move(table)) {}

  Result<std::vector<FragmentInfo>> Fragments() override;
  Result<std::map<int64_t, int64_t>> CountSelected(const std::string& filter,
                                                   const std::vector<int64_t>& fragment_ids) override;
  Result<TableHistory> HistoryOf(const std::vector<std::string>& names) override;
  Result<bool> KeptOrder(const Rewrite& rewrite) override;
  Result<std::map<int64_t, std::vector<int64_t>>> RowsNow(const std::map<int64_t, std::vector<int64_t>>& rows,
                                                          int64_t since_version) override;
  Result<int64_t> MoveToLatest() override;
  Result<int64_t> LatestVersion() override;
  Result<std::vector<FragmentInfo>> Inspect(int64_t version, const std::vector<int64_t>& fragment_ids) override;
  Result<int64_t> Commit(int64_t read_version, const std::vector<FragmentUpdate>& updates,
                         const CommitMark& mark) override;
  Result<std::optional<int64_t>> FindMark(int64_t since_version, const CommitMark& mark) override;
  Result<std::vector<TableChange>> Changes(int64_t since_version, int64_t until_version) override;
  Status MarkDone(const std::string& udf_version) override;

 private:
  nanobind::object table_;
};

class PythonJobHost final : public JobHost {
 public:
  explicit PythonJobHost(nanobind::object host) : host_(std::move(host)) {}

  Result<std::string> WorkerPayload() override;
  RowDecision DecideRow(const RowFailure& failure) override;
  void OnNotice(const std::string& text) override;
  bool OnProgress(const JobMetrics& metrics, const std::string& phase) override;

 private:
  nanobind::object host_;
};

/// Needs the GIL; throws nanobind::python_error or nanobind::cast_error on a malformed request.
BackfillSpec SpecFrom(const nanobind::dict& request);

/// Needs the GIL.
nanobind::dict MetricsDict(const JobMetrics& metrics);

}  // namespace leman::python
