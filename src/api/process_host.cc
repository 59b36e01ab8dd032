#include "api/process_host.h"

#include <dlfcn.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <future>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>

#include "api/environment_place.h"

namespace leman::api {
namespace {

Error EnvironmentError(std::string message) {
  return Error{ErrorKind::kEnvironment, "EnvironmentError", std::move(message), {}};
}

// An interpreter is one a process, and so is this. Never destroyed: at exit, other threads may still be in calls.
struct ProcessState {
  std::mutex mutex;
  Host* host = nullptr;
  std::atomic<pid_t> pid{0};  ///< Of the process that started the host; 0 before.

  static ProcessState& Get() {
    static auto& state = *new ProcessState;
    return state;
  }
};

template <typename Function>
Function* Loaded(const char* symbol) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_DEFAULT, symbol));
}

bool InterpreterRuns() {
  auto* const is_initialized = Loaded<int()>("Py_IsInitialized");
  return is_initialized != nullptr && is_initialized() != 0;
}

// Gives up the GIL for its lifetime, if this thread holds it: the thread that starts the host may wait for it.
class WithoutGil {
 public:
  WithoutGil() {
    if (!InterpreterRuns()) return;
    auto* const holds_gil = Loaded<int()>("PyGILState_Check");
    auto* const save = Loaded<void*()>("PyEval_SaveThread");
    if (holds_gil != nullptr && save != nullptr && holds_gil() != 0) thread_state_ = save();
  }
  ~WithoutGil() {
    if (thread_state_ != nullptr) Loaded<void(void*)>("PyEval_RestoreThread")(thread_state_);
  }
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;

 private:
  void* thread_state_ = nullptr;
};

Result<std::filesystem::path> OwnPath() {
  Dl_info info{};
  if (::dladdr(reinterpret_cast<const void*>(&ConnectInHost), &info) == 0 || info.dli_fname == nullptr) {
    return EnvironmentError("the loader does not tell where libleman.so lies");
  }
  return std::filesystem::path(info.dli_fname);
}

std::string LoaderError() {
  const char* message = ::dlerror();
  return message == nullptr ? "unknown error" : message;
}

Result<const HostEntry*> LoadHostModule(const std::filesystem::path& module) {
  void* handle = ::dlopen(module.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) return EnvironmentError("the extension module cannot be loaded: " + LoaderError());
  const auto entry = reinterpret_cast<HostEntryFunction>(::dlsym(handle, kHostEntrySymbol));
  if (entry == nullptr || entry()->interface_version != kHostInterface) {
    return EnvironmentError(module.string() + " is not of the build of this libleman.so; install leman again");
  }
  return entry();
}

// The thread that starts an interpreter is its main thread, to which it gives signals; so it is one of ours, which gets
// none, and stays. The program's own threads and their signals are left alone.
Result<Host*> StartOnOwnThread(const HostEntry& entry, const StartRequest& request) {
  std::promise<Result<Host*>> started;
  std::future<Result<Host*>> result = started.get_future();
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  std::optional<Error> failed;
  try {
    std::thread([&entry, request, started = std::move(started)]() mutable {
      started.set_value(entry.start(request));
      while (true) ::pause();
    }).detach();
  } catch (const std::system_error& error) {
    failed = EnvironmentError(std::string("no thread could be started: ") + error.what());
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (failed) return *failed;
  return result.get();
}

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Result<Host*> Start() {
  const Result<std::filesystem::path> own_path = OwnPath();
  if (!own_path.ok()) return own_path.error();
  const Result<PackagePlace> package = FindPackage(*own_path);
  if (!package.ok()) return package.error();
  StartRequest request{"", package->folder.string()};
  if (!InterpreterRuns()) {
    const Result<InterpreterPlace> place = FindInterpreter(*package, Variable);
    if (!place.ok()) return place.error();
    // Extension modules look for Python's symbols in the whole process.
    if (::dlopen(place->libpython.c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr) {
      return EnvironmentError("libpython cannot be loaded: " + LoaderError());
    }
    request.executable = place->executable.string();
  }
  const Result<const HostEntry*> entry = LoadHostModule(package->host_module);
  if (!entry.ok()) return entry.error();
  if ((*entry)->is_running()) return (*entry)->start(request);
  return StartOnOwnThread(**entry, request);
}

Result<Host*> ProcessHost() {
  ProcessState& state = ProcessState::Get();
  const WithoutGil no_gil;
  const std::lock_guard lock(state.mutex);
  if (state.host == nullptr) {
    const Result<Host*> started = Start();
    if (!started.ok()) return started.error();
    state.host = *started;
    state.pid = ::getpid();
  }
  return state.host;
}

}  // namespace

Status CheckNotForked() {
  const pid_t owner = ProcessState::Get().pid;
  if (owner == 0 || owner == ::getpid()) return Unit{};
  return Error{ErrorKind::kEnvironment,
               "EnvironmentError",
               "process " + std::to_string(::getpid()) + " was forked from process " + std::to_string(owner) +
                   ", which uses Leman: call Connect only after fork(), or exec",
               {}};
}

Result<std::shared_ptr<Database>> ConnectInHost(const std::string& uri, const ConnectOptions& options) {
  if (const Status here = CheckNotForked(); !here.ok()) return here.error();
  const Result<Host*> host = ProcessHost();
  if (!host.ok()) return host.error();
  return (*host)->Connect(uri, options);
}

}  // namespace leman::api
