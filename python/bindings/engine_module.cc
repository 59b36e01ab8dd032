// leman._engine: the engine as Python sees it.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <memory>
#include <optional>

#include "assemble/file_parts.h"
#include "base/utf8.h"
#include "call_guard.h"
#include "cleanup_binding.h"
#include "driver_table.h"
#include "fragment_files.h"
#include "io/routed_object_store.h"
#include "job/backfill.h"
#include "job/job_log.h"
#include "job/linux_memory.h"
#include "job/local_worker_pool.h"
#include "native_udfs.h"
#include "plan/plan_printer.h"
#include "remote_store.h"
#include "remote_workers.h"
#include "value_conversion.h"
#include "worker_session.h"

namespace nb = nanobind;

namespace leman::python {
namespace {

constexpr const char* kCheckpoints = "_leman/checkpoints";

const std::string& CheckpointRoot(const BackfillSpec& spec) {
  return spec.checkpoint_root.empty() ? spec.table_root : spec.checkpoint_root;
}

// Of the table, with its checkpoints where they lie.
std::unique_ptr<ObjectStore> OpenStores(const nb::object& host, const BackfillSpec& spec) {
  auto table = OpenStore(host.attr("door"), spec.table_root);
  if (spec.checkpoint_root.empty()) return table;
  auto checkpoints = OpenStore(host.attr("checkpoint_door"), spec.checkpoint_root);
  return std::make_unique<RoutedObjectStore>(kCheckpoints, std::move(checkpoints), std::move(table));
}

std::unique_ptr<Assembler> MakeAssembler(const nb::object& host, const BackfillSpec& spec, ObjectStore& store) {
  const bool table_is_local = host.attr("door").is_none();
  if (table_is_local && host.attr("checkpoint_door").is_none()) {
    return std::make_unique<LocalAssembler>(host, spec.table_root, CheckpointRoot(spec));
  }
  std::unique_ptr<PartUploads> uploads;
  if (table_is_local) {
    uploads = std::make_unique<FileParts>(spec.table_root);
  } else {
    uploads = std::make_unique<RemoteUploads>(host.attr("part_uploads")());
  }
  return std::make_unique<RemoteAssembler>(host, std::move(uploads), store, nb::cast<bool>(host.attr("writes_once")));
}

// Everything a job needs, wired once.
struct Wiring {
  /// Workers of this machine over `control_fd`, or those that `remote` (see RemoteWorkers) describes.
  Wiring(const BackfillSpec& spec, const nb::object& host, int control_fd, const nb::object& remote)
      : table(host.attr("table")),
        job_host(host),
        store(OpenStores(host, spec)),
        local_pool(control_fd),
        assembler(MakeAssembler(host, spec, *store)) {
    if (!remote.is_none()) remote_workers.emplace(nb::cast<nb::dict>(remote), clock);
  }

  JobPorts ports() {
    WorkerPool& pool = remote_workers ? remote_workers->pool() : static_cast<WorkerPool&>(local_pool);
    return {table, table, *store, pool, *assembler, job_host, clock};
  }

  PythonTable table;
  PythonJobHost job_host;
  std::unique_ptr<ObjectStore> store;
  LocalWorkerPool local_pool;
  std::unique_ptr<Assembler> assembler;
  SystemClock clock;
  std::optional<RemoteWorkers> remote_workers;
};

nb::dict RunBackfillFromPython(const nb::dict& request, const nb::object& host, int control_fd,
                               const nb::object& remote) {
  BackfillSpec spec = SpecFrom(request);
  // Other machines have other memory: there only what the user asks for is known.
  if (remote.is_none()) spec.memory_bytes = WorkerMemoryBytes(spec.memory_bytes, spec.concurrency);
  Wiring wiring(spec, host, control_fd, remote);
  JobResult result;
  {
    const nb::gil_scoped_release no_gil;
    result = RunBackfill(spec, wiring.ports());
  }
  nb::dict metrics = MetricsDict(result.metrics);
  metrics["duration_s"] = result.duration_s;
  nb::dict dict;
  dict["status"] = std::string(JobStatusName(result.status));
  dict["rows_total"] = result.metrics.rows_total;
  dict["rows_computed"] = result.metrics.rows_computed;
  dict["rows_skipped"] = result.metrics.rows_skipped;
  dict["fragments_total"] = result.metrics.fragments_total;
  dict["fragments_committed"] = result.metrics.fragments_committed;
  dict["version"] = result.version;
  dict["duration_s"] = result.duration_s;
  dict["metrics"] = metrics;
  if (result.error) {
    dict["error"] = ValidUtf8(result.error->message);
    dict["error_type"] = ErrorTypeName(*result.error);
  }
  return dict;
}

nb::dict PlanBackfillFromPython(const nb::dict& request, const nb::object& host) {
  const BackfillSpec spec = SpecFrom(request);
  Wiring wiring(spec, host, -1, nb::none());
  JobPorts ports = wiring.ports();
  Result<Plan> plan = [&] {
    const nb::gil_scoped_release no_gil;
    return PlanBackfill(spec, ports);
  }();
  if (!plan.ok()) throw std::runtime_error(plan.error().message);
  nb::dict dict;
  dict["text"] = PrintPlan(spec, *plan);
  dict["rows_total"] = plan->rows_total;
  dict["rows_resumed"] = plan->rows_resumed;
  dict["fragments"] = plan->fragments.size();
  dict["fragments_done"] = plan->fragments_done;
  dict["tasks"] = plan->tasks.size();
  dict["task_rows"] = plan->task_rows;
  dict["workers"] = plan->workers;
  nb::dict keys;
  for (const FragmentPlan& item : plan->fragments) {
    if (item.selection == Selection::kAll) keys[nb::int_(item.fragment.id)] = item.fragment_key;
  }
  dict["fragment_keys"] = keys;
  dict["checkpoint_folder"] = CheckpointFolder(spec);
  return dict;
}

void ServeWorkerFromPython(int fd, const nb::object& session_class) {
  PythonWorkerHost host(session_class);
  SystemClock clock;
  const Status status = [&] {
    const nb::gil_scoped_release no_gil;
    return ServeWorker(fd, host, clock);
  }();
  if (!status.ok()) throw std::runtime_error(status.error().message);
}

}  // namespace
}  // namespace leman::python

NB_MODULE(_engine, m) {
  m.doc() = "Leman's engine. Not a public interface.";
  m.def("run_backfill", &leman::python::RunBackfillFromPython, nb::arg("request"), nb::arg("host"),
        nb::arg("control_fd"), nb::arg("remote") = nb::none());
  m.def("plan_backfill", &leman::python::PlanBackfillFromPython);
  m.def("array_of_results", &leman::python::ArrayOfResults);
  m.def("serve_worker", &leman::python::ServeWorkerFromPython);
  m.def("serve_remote_worker", &leman::python::ServeRemoteWorker);
  leman::python::BindCleanup(m);
  leman::python::BindCallGuard(m);
  leman::python::BindNativeUdfs(m);
}
