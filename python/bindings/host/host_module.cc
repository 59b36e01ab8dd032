// leman._host: started by libleman.so, which finds leman_host_entry in it, or imported by Python.
#include <nanobind/nanobind.h>
#include <signal.h>

#include <filesystem>
#include <memory>
#include <string>

#include "exit_functions.h"
#include "job_port.h"
#include "python_database.h"

namespace leman::host {
namespace nb = nanobind;
namespace {

Error EnvironmentError(std::string message) {
  return Error{ErrorKind::kEnvironment, "EnvironmentError", std::move(message), {}};
}

struct Release {
  void operator()(PyObject* object) const { Py_XDECREF(object); }
};
using Reference = std::unique_ptr<PyObject, Release>;

// The text of the exception that is set, which is cleared.
std::string TakeException() {
  PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
  PyErr_Fetch(&type, &value, &traceback);
  const Reference exception(value), ignored_type(type), ignored_traceback(traceback);
  const Reference text(value == nullptr ? nullptr : PyObject_Str(value));
  const char* utf8 = text.get() == nullptr ? nullptr : PyUnicode_AsUTF8(text.get());
  PyErr_Clear();
  return utf8 == nullptr ? "unknown error" : utf8;
}

// Changes nothing of the program that Python would change as a program of its own: signals, locale, stdio.
PyStatus Configure(const std::string& executable, PyConfig& config) {
  PyPreConfig before;
  PyPreConfig_InitPythonConfig(&before);
  before.configure_locale = 0;
  before.coerce_c_locale = 0;
  before.coerce_c_locale_warn = 0;
  before.utf8_mode = 1;
  before.parse_argv = 0;
  PyStatus status = Py_PreInitialize(&before);
  if (PyStatus_Exception(status)) return status;
  PyConfig_InitPythonConfig(&config);
  config.install_signal_handlers = 0;
  config.configure_c_stdio = 0;
  config.parse_argv = 0;
  // The environment is found from the interpreter's path, and workers are started with it.
  status = PyConfig_SetBytesString(&config, &config.program_name, executable.c_str());
  if (PyStatus_Exception(status)) return status;
  return PyConfig_SetBytesString(&config, &config.executable, executable.c_str());
}

// Python's signal module takes SIGINT when it is first imported, where the program leaves it at its default; the
// program gets it back. The thread that first imports threading is what Python calls the main thread: this one.
bool ImportSignalAndThreading() {
  struct sigaction before {};
  const bool known = ::sigaction(SIGINT, nullptr, &before) == 0;
  const Reference signal(PyImport_ImportModule("_signal"));
  if (known) ::sigaction(SIGINT, &before, nullptr);
  const Reference threading(PyImport_ImportModule("threading"));
  return signal != nullptr && threading != nullptr;
}

Status StartInterpreter(const std::string& executable) {
  PyConfig config;
  PyStatus status = Configure(executable, config);
  if (!PyStatus_Exception(status)) status = Py_InitializeFromConfig(&config);
  PyConfig_Clear(&config);
  if (PyStatus_Exception(status)) {
    return EnvironmentError("the Python of " + executable +
                            " could not be started: " + (status.err_msg == nullptr ? "unknown error" : status.err_msg));
  }
  if (!ImportSignalAndThreading()) return EnvironmentError("Python's standard library is broken: " + TakeException());
  OwnInterpreter();
  // Initializing leaves the GIL with this thread.
  PyEval_SaveThread();
  return Unit{};
}

// Imports the package that libleman.so belongs to and this module in it; returns the package's file, or an empty string
// and an exception. Without nanobind, which works only once this module is imported.
std::string ImportPackage(const std::string& package) {
  const std::string parent = std::filesystem::path(package).parent_path().string();
  const Reference entry(PyUnicode_DecodeFSDefault(parent.c_str()));
  PyObject* path = PySys_GetObject("path");
  if (entry.get() == nullptr || path == nullptr) return {};
  const int there = PySequence_Contains(path, entry.get());
  if (there < 0 || (there == 0 && PyList_Insert(path, 0, entry.get()) != 0)) return {};
  const Reference host(PyImport_ImportModule("leman._host"));
  if (host.get() == nullptr) return {};
  const Reference leman(PyImport_ImportModule("leman"));
  const Reference file(leman.get() == nullptr ? nullptr : PyObject_GetAttrString(leman.get(), "__file__"));
  const char* utf8 = file.get() == nullptr ? nullptr : PyUnicode_AsUTF8(file.get());
  return utf8 == nullptr ? "" : utf8;
}

Result<api::Host*> Start(const api::StartRequest& request) {
  if (Py_IsInitialized() == 0) {
    if (Status started = StartInterpreter(request.executable); !started.ok()) return started.error();
  }
  const nb::gil_scoped_acquire gil;
  const std::string file = ImportPackage(request.package);
  if (file.empty()) {
    return EnvironmentError("leman cannot be imported by the Python of this process: " + TakeException());
  }
  const std::filesystem::path folder = std::filesystem::path(file).parent_path();
  std::error_code failed;
  if (!std::filesystem::equivalent(folder, request.package, failed)) {
    return EnvironmentError("this process has imported leman from " + folder.string() +
                            ", and libleman.so belongs to " + request.package + "; use one of them");
  }
  // As long as the process, like the interpreter.
  static auto& host = *new PythonHost;
  return &host;
}

bool IsRunning() { return Py_IsInitialized() != 0; }

constexpr api::HostEntry kEntry{api::kHostInterface, &IsRunning, &Start};

}  // namespace
}  // namespace leman::host

extern "C" __attribute__((visibility("default"))) const leman::api::HostEntry* leman_host_entry() {
  return &leman::host::kEntry;
}

NB_MODULE(_host, m) {
  m.doc() = "What the C++ API calls. Not a public interface.";
  leman::host::BindJobPort(m);
}
