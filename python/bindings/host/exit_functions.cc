#include "exit_functions.h"

#include <link.h>
#include <nanobind/nanobind.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>

namespace leman::host {
namespace {

// An interpreter is one a process, and so is its end.
std::atomic<pid_t> owner{0};
std::atomic<unsigned long long> libraries_loaded{0};
std::atomic<bool> has_run{false};

int ReadLoads(dl_phdr_info* info, size_t, void* loads) {
  *static_cast<unsigned long long*>(loads) = info->dlpi_adds;
  return 1;
}

// What C calls at exit, in the thread that ends the program.
void RunExitFunctions() {
  // A forked process has no part in it.
  if (owner != ::getpid() || has_run.exchange(true)) return;
  const nanobind::gil_scoped_acquire gil;
  PyObject* atexit = PyImport_ImportModule("atexit");
  PyObject* done = atexit == nullptr ? nullptr : PyObject_CallMethod(atexit, "_run_exitfuncs", nullptr);
  if (done == nullptr) PyErr_Clear();
  Py_XDECREF(done);
  Py_XDECREF(atexit);
}

}  // namespace

void OwnInterpreter() { owner = ::getpid(); }

void RunBeforeExit() {
  if (owner != ::getpid()) return;
  unsigned long long loads = 0;
  ::dl_iterate_phdr(&ReadLoads, &loads);
  // The last one registered runs first; the others find it done.
  if (libraries_loaded.exchange(loads) != loads) std::atexit(&RunExitFunctions);
}

}  // namespace leman::host
