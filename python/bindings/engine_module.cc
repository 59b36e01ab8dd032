// leman._engine: the engine as Python sees it.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <memory>
#include <optional>

#include "base/utf8.h"
#include "call_guard.h"
#include "cleanup_binding.h"
#include "driver_table.h"
#include "fragment_files.h"
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

std::unique_ptr<Assembler> MakeAssembler(const nb::object& host, const std::string& table_root, ObjectStore& store) {
  const nb::object door = host.attr("door");
  if (door.is_none()) return std::make_unique<LocalAssembler>(host, table_root);
  return std::make_unique<RemoteAssembler>(host, door, store);
}

// Everything a job needs, wired once.
struct Wiring {
  /// Workers of this machine over `control_fd`, or those that `remote` (see RemoteWorkers) describes.
  Wiring(const BackfillSpec& spec, const nb::object& host, int control_fd, const nb::object& remote)
      : table(host.attr("table")),
        job_host(host),
        store(OpenStore(host.attr("door"), spec.table_root)),
        local_pool(control_fd),
        assembler(MakeAssembler(host, spec.table_root, *store)) {
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
