#include "job_port.h"

#include <nanobind/stl/string.h>

namespace leman::host {
namespace nb = nanobind;
namespace {

template <typename T>
void Read(const nb::dict& snapshot, const char* name, T& value) {
  if (!snapshot.contains(name)) return;
  const nb::object entry = snapshot[name];
  if (!entry.is_none()) value = nb::cast<T>(entry);
}

}  // namespace

void JobPort::Start(const nb::dict& job) {
  Read(job, "job_id", job_id_);
  Read(job, "column", column_);
}

void JobPort::Update(const nb::dict& snapshot) const {
  Progress progress;
  progress.job_id = job_id_;
  progress.column = column_;
  Read(snapshot, "phase", progress.phase);
  Read(snapshot, "rows_total", progress.rows_total);
  Read(snapshot, "rows_computed", progress.rows_computed);
  Read(snapshot, "rows_checkpointed", progress.rows_checkpointed);
  Read(snapshot, "fragments_total", progress.fragments_total);
  Read(snapshot, "fragments_assembled", progress.fragments_assembled);
  Read(snapshot, "fragments_committed", progress.fragments_committed);
  Read(snapshot, "bytes_assembled", progress.bytes_assembled);
  Read(snapshot, "bytes_to_assemble", progress.bytes_to_assemble);
  Read(snapshot, "workers", progress.workers);
  Read(snapshot, "rows_per_s", progress.rows_per_s);
  Read(snapshot, "elapsed_s", progress.elapsed_s);
  const nb::gil_scoped_release no_gil;
  watch_.Update(progress);
}

void BindJobPort(nb::module_& module) {
  nb::class_<JobPort>(module, "JobPort")
      .def("start", &JobPort::Start)
      .def("update", &JobPort::Update)
      .def("finish", [](const JobPort&, const nb::handle&) {})
      .def_prop_ro("cancelled", &JobPort::cancelled);
}

}  // namespace leman::host
