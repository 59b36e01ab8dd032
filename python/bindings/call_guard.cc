#include "call_guard.h"

#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>

#include <csignal>
#include <sstream>
#include <thread>

namespace leman::python {
namespace nb = nanobind;
namespace {

constexpr double kNsPerSecond = 1e9;

// Never released: the class lives as long as its module, and the guard may end without the GIL.
nb::handle ErrorClass(const char* name) {
  return nb::object(nb::module_::import_("leman.errors").attr(name)).release();
}

}  // namespace

CallGuard::CallGuard(Clock& clock, double limit_s, bool on_main_thread)
    : slot_(clock),
      limit_s_(limit_s),
      limit_ns_(static_cast<int64_t>(limit_s * kNsPerSecond)),
      on_main_thread_(on_main_thread),
      thread_(::pthread_self()),
      ident_(PyThread_get_thread_ident()),
      interrupted_class_(ErrorClass("CallInterrupted")),
      timeout_class_(ErrorClass("FunctionTimeoutError")) {}

void CallGuard::End() {
  slot_.End();
  if (std::exchange(exception_sent_, false)) PyThreadState_SetAsyncExc(ident_, nullptr);
}

bool CallGuard::TakeInterruption() {
  const uint64_t number = slot_.current().number;
  return number != 0 && interrupted_ == number && std::exchange(raised_, number) != number;
}

std::string CallGuard::Complaint() const {
  std::ostringstream text;
  text << "took longer than its timeout of " << limit_s_ << " s";
  return text.str();
}

void CallGuard::EndRow() {
  End();
  if (PyErr_Occurred() == nullptr || PyErr_ExceptionMatches(interrupted_class_.ptr()) == 0) return;
  PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
  PyErr_Fetch(&type, &value, &traceback);
  Py_XDECREF(type);
  Py_XDECREF(value);
  PyErr_SetString(timeout_class_.ptr(), ("the call " + Complaint()).c_str());
  PyObject* old_traceback = nullptr;
  PyErr_Fetch(&type, &value, &old_traceback);
  Py_XDECREF(old_traceback);
  PyErr_Restore(type, value, traceback);
}

void CallGuard::Interrupt(const CallSlot::Call& call) {
  interrupted_ = call.number;
  if (on_main_thread_) {
    ::pthread_kill(thread_, SIGRTMIN + kSignalsAboveMin);
    return;
  }
  // The function may hold the GIL for good: only a thread of its own may wait for it.
  std::thread([self = shared_from_this(), number = call.number] {
    const nb::gil_scoped_acquire gil;
    if (self->slot_.current().number != number || self->exception_sent_) return;
    self->exception_sent_ = PyThreadState_SetAsyncExc(self->ident_, self->interrupted_class_.ptr()) == 1;
  }).detach();
}

void BindCallGuard(nb::module_& module) {
  nb::class_<CallGuard>(module, "CallGuard")
      .def("begin", &CallGuard::Begin)
      .def("end", &CallGuard::End)
      .def("take_interruption", &CallGuard::TakeInterruption)
      .def("complaint", &CallGuard::Complaint)
      .def_prop_ro_static("signal_number", [](const nb::handle&) { return SIGRTMIN + CallGuard::kSignalsAboveMin; });
}

}  // namespace leman::python
