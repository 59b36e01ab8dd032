#include "scalar/user_exception.h"

#include "scalar/pyarrow_bridge.h"

namespace leman::python::scalar {
namespace {

constexpr size_t kMaxRepr = 200;
constexpr size_t kMaxMessage = 2'000;
constexpr size_t kMaxTraceback = 4'000;
constexpr std::string_view kCut = "…";

bool IsContinuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U; }

// Messages are written to records: signed URLs and credentials in them are not.
PyRef Redacted(const PyRef& text) {
  const PyRef module = PyRef::Steal(PyImport_ImportModule("leman.secret_redaction"));
  PyRef clean = PyRef::Steal(module ? PyObject_CallMethod(module.get(), "redact", "O", text.get()) : nullptr);
  if (clean && PyUnicode_Check(clean.get())) return clean;
  PyErr_Clear();
  return PyRef::Borrow(text.get());
}

// The pending exception, normalized and with its traceback attached, cleared; empty: none.
PyRef FetchPending() {
#if PY_VERSION_HEX >= 0x030C0000
  return PyRef::Steal(PyErr_GetRaisedException());
#else
  PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
  PyErr_Fetch(&type, &value, &traceback);
  if (type == nullptr) return {};
  PyErr_NormalizeException(&type, &value, &traceback);
  if (value != nullptr && traceback != nullptr) PyException_SetTraceback(value, traceback);
  Py_XDECREF(type);
  Py_XDECREF(traceback);
  return PyRef::Steal(value);
#endif
}

void RestorePending(PyRef exception) {
  if (!exception) return;
#if PY_VERSION_HEX >= 0x030C0000
  PyErr_SetRaisedException(exception.Release());
#else
  PyObject* type = reinterpret_cast<PyObject*>(Py_TYPE(exception.get()));
  Py_INCREF(type);
  PyObject* traceback = PyException_GetTraceback(exception.get());
  PyErr_Restore(type, exception.Release(), traceback);
#endif
}

// Whether a frame is one of Leman's own, between the engine and the user's function.
bool IsOurs(PyObject* frame) {
  const std::string text = TextOf(frame);
  return text.find("/leman/blob_inputs.py") != std::string::npos ||
         text.find("/leman/blob_outputs.py") != std::string::npos;
}

// Without our own frames; of frames below ours nothing is left out.
PyRef UsersLines(PyObject* lines) {
  if (!PyList_Check(lines)) return {};
  PyRef kept = PyRef::Steal(PyList_New(0));
  for (Py_ssize_t i = 0; kept && i < PyList_GET_SIZE(lines); ++i) {
    PyObject* line = PyList_GET_ITEM(lines, i);
    if (!IsOurs(line) && PyList_Append(kept.get(), line) != 0) return {};
  }
  return kept;
}

// The end matters most: it holds the innermost frames and the message.
std::string TracebackOf(PyObject* exception) {
  const PyRef traceback = PyRef::Steal(PyException_GetTraceback(exception));
  if (!traceback) return {};
  const PyRef args = PyRef::Steal(PyTuple_Pack(3, Py_TYPE(exception), exception, traceback.get()));
  const PyRef all = CallModuleFunction("traceback", "format_exception", args.get());
  const PyRef lines = all ? UsersLines(all.get()) : PyRef();
  const PyRef nothing = PyRef::Steal(PyUnicode_FromString(""));
  const PyRef joined = PyRef::Steal(lines && nothing ? PyUnicode_Join(nothing.get(), lines.get()) : nullptr);
  if (!joined) {
    PyErr_Clear();
    return {};
  }
  std::string text = TextOf(Redacted(joined).get());
  while (!text.empty() && text.back() == '\n') text.pop_back();
  if (text.size() <= kMaxTraceback) return text;
  size_t begin = text.size() - (kMaxTraceback - kCut.size());
  while (begin < text.size() && IsContinuation(text[begin])) ++begin;
  return std::string(kCut) + text.substr(begin);
}

}  // namespace

std::string TextOf(PyObject* str) {
  const PyRef bytes = PyRef::Steal(PyUnicode_AsEncodedString(str, "utf-8", "backslashreplace"));
  if (!bytes) {
    PyErr_Clear();
    return {};
  }
  return {PyBytes_AS_STRING(bytes.get()), static_cast<size_t>(PyBytes_GET_SIZE(bytes.get()))};
}

std::string MessageOf(PyObject* exception) {
  const PyRef text = PyRef::Steal(PyObject_Str(exception));
  if (text) return Bounded(TextOf(Redacted(text).get()), kMaxMessage);
  PyErr_Clear();
  return "<str() of the exception failed>";
}

std::string Bounded(std::string_view text, size_t limit) {
  if (text.size() <= limit) return std::string(text);
  size_t end = limit - kCut.size();
  while (end > 0 && IsContinuation(text[end])) --end;
  return std::string(text.substr(0, end)) + std::string(kCut);
}

std::string TypeName(PyTypeObject* type) {
  const PyRef module = PyRef::Steal(PyObject_GetAttrString(reinterpret_cast<PyObject*>(type), "__module__"));
  const PyRef name = PyRef::Steal(PyObject_GetAttrString(reinterpret_cast<PyObject*>(type), "__qualname__"));
  if (!module || !name || !PyUnicode_Check(module.get()) || !PyUnicode_Check(name.get())) {
    PyErr_Clear();
    return type->tp_name;
  }
  const std::string prefix = TextOf(module.get());
  return prefix == "builtins" ? TextOf(name.get()) : prefix + "." + TextOf(name.get());
}

std::string BoundedRepr(PyObject* value) {
  PyRef pending = FetchPending();
  // A repr of megabytes is made only to be thrown away, so the two kinds that get so long are cut before.
  PyRef shown = PyRef::Borrow(value);
  if (PyUnicode_CheckExact(value) && PyUnicode_GET_LENGTH(value) > static_cast<Py_ssize_t>(kMaxRepr)) {
    shown = PyRef::Steal(PyUnicode_Substring(value, 0, kMaxRepr));
  } else if (PyBytes_CheckExact(value) && PyBytes_GET_SIZE(value) > static_cast<Py_ssize_t>(kMaxRepr)) {
    shown = PyRef::Steal(PyBytes_FromStringAndSize(PyBytes_AS_STRING(value), kMaxRepr));
  }
  const PyRef repr = PyRef::Steal(shown ? PyObject_Repr(shown.get()) : nullptr);
  std::string text = repr ? Bounded(TextOf(repr.get()), kMaxRepr) : "<repr() failed>";
  PyErr_Clear();
  RestorePending(std::move(pending));
  return text;
}

UserException TakeException() {
  PyRef value = FetchPending();
  UserException taken;
  if (!value) return taken;
  taken.type_name = TypeName(Py_TYPE(value.get()));
  taken.message = MessageOf(value.get());
  taken.traceback = TracebackOf(value.get());
  PyException_SetTraceback(value.get(), Py_None);
  taken.object = std::move(value);
  return taken;
}

Error PythonFailure(std::string_view context, ErrorKind kind) {
  const UserException taken = TakeException();
  return MakeError(kind, context, ": ", taken.type_name, ": ", taken.message);
}

}  // namespace leman::python::scalar
