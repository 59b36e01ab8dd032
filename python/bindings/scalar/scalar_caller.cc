#include "scalar/scalar_caller.h"

#include <new>
#include <utility>

#include "scalar/value_builder.h"
#include "scalar/value_reader.h"

namespace leman::python {

using scalar::ArrowType;
using scalar::PyRef;

namespace {

constexpr int64_t kRowsBetweenSignalChecks = 4096;

std::string NameOf(PyObject* callable) {
  const PyRef name = PyRef::Steal(PyObject_GetAttrString(callable, "__name__"));
  const char* utf8 = name && PyUnicode_Check(name.get()) ? PyUnicode_AsUTF8(name.get()) : nullptr;
  PyErr_Clear();
  return utf8 != nullptr ? utf8 : scalar::TypeName(Py_TYPE(callable));
}

}  // namespace

Result<std::unique_ptr<ScalarCaller>> ScalarCaller::Make(PyObject* callable, const ArrowSchema& input_schema,
                                                         const ArrowSchema& output_schema, std::vector<bool> skip_null,
                                                         std::vector<ArgumentForm> forms) {
  const auto count = static_cast<size_t>(input_schema.n_children);
  if (skip_null.empty()) skip_null.resize(count, false);
  if (forms.empty()) forms.resize(count, ArgumentForm::kPlain);
  if (skip_null.size() != count || forms.size() != count) {
    return MakeError(ErrorKind::kInvalidArgument, "skip_null and forms need one entry for each of the ", count,
                     " arguments, got ", skip_null.size(), " and ", forms.size());
  }
  if (PyCallable_Check(callable) == 0) {
    return MakeError(ErrorKind::kInvalidArgument, scalar::BoundedRepr(callable), " is not callable");
  }
  std::unique_ptr<ScalarCaller> caller(new ScalarCaller());
  caller->callable_ = PyRef::Borrow(callable);
  caller->name_ = NameOf(callable);
  for (size_t i = 0; i < count; ++i) {
    LEMAN_ASSIGN_OR_RETURN(ArrowType type, ParseType(*input_schema.children[i], scalar::Direction::kInput));
    if (forms[i] == ArgumentForm::kNdarray && !IsList(type.id)) {
      return MakeError(ErrorKind::kInvalidArgument, "argument '", type.name, "' of ", caller->name_,
                       " is annotated np.ndarray, which needs a list column of plain values; its column is ",
                       type.text);
    }
    caller->inputs_.push_back(std::move(type));
  }
  LEMAN_ASSIGN_OR_RETURN(caller->output_, ParseType(output_schema, scalar::Direction::kOutput));
  caller->skip_null_ = std::move(skip_null);
  caller->forms_ = std::move(forms);
  return caller;
}

/// One batch going through.
class ScalarCaller::Pass {
 public:
  explicit Pass(ScalarCaller* caller) : caller_(*caller), args_(caller->inputs_.size() + 1) {}

  Status Open(const ArrowArray& inputs) {
    if (inputs.n_children != static_cast<int64_t>(caller_.inputs_.size())) {
      return MakeError(ErrorKind::kInvalidArgument, caller_.name_, " takes ", caller_.inputs_.size(),
                       " columns, the batch has ", inputs.n_children);
    }
    for (size_t i = 0; i < caller_.inputs_.size(); ++i) {
      LEMAN_ASSIGN_OR_RETURN(scalar::ReaderPtr reader, MakeReader(caller_.inputs_[i], caller_.forms_[i],
                                                                  *inputs.children[i], inputs.offset, inputs.length));
      readers_.push_back(std::move(reader));
    }
    builder_ = MakeBuilder(caller_.output_);
    builder_->Reserve(inputs.length);
    return Ok();
  }

  Result<OwnedArray> Run(int64_t rows, const uint8_t* selected, int64_t* failed_row,
                         const RowFailureHandler& on_failure) {
    for (int64_t row = 0; row < rows;) {
      if (row % kRowsBetweenSignalChecks == 0 && PyErr_CheckSignals() != 0) return Failed(row, failed_row, nullptr);
      if (selected != nullptr && selected[row] == 0) {
        builder_->AppendNull();
      } else if (const PyRef result = PyRef::Steal(Invoke(row)); !result || !Append(row, result.get())) {
        const Error error = Failed(row, failed_row, result.get());
        const RowAction action = Decide(error, row, on_failure);
        if (action == RowAction::kFail) return error;
        builder_->Truncate(row);
        if (action == RowAction::kRetry) continue;
        builder_->AppendNull();
      }
      ++row;
    }
    return Finish(failed_row, on_failure);
  }

 private:
  bool Append(int64_t row, PyObject* value) {
    if (builder_->Append(value, &refusal_)) return true;
    if (!scalar::IsMissing(value)) return false;
    PyErr_Clear();
    refusal_ = {};
    builder_->Truncate(row);
    builder_->AppendNull();
    return true;
  }

  // A new reference to the function's result, or to None where an argument is null that may not be; nullptr with an
  // exception set.
  PyObject* Invoke(int64_t row) {
    PyObject** args = args_.data() + 1;  // the slot before is the callee's to use
    const size_t count = readers_.size();
    size_t read = 0;
    PyObject* result = nullptr;
    bool is_ready = true;
    for (; read < count && is_ready; ++read) {
      PyObject* value = readers_[read]->Read(row);
      if (value == nullptr) {
        unreadable_ = static_cast<int64_t>(read);
        is_ready = false;
        break;
      }
      args[read] = value;
      if (value == Py_None && caller_.skip_null_[read]) {
        ++caller_.counts_.null_inputs;
        result = scalar::NewNone();
        is_ready = false;
      }
    }
    if (is_ready) {
      ++caller_.counts_.calls;
      if (caller_.bracket_ != nullptr) caller_.bracket_->BeginRow(row);
      result = PyObject_Vectorcall(caller_.callable_.get(), args, count | PY_VECTORCALL_ARGUMENTS_OFFSET, nullptr);
      if (caller_.bracket_ != nullptr) caller_.bracket_->EndRow();
    }
    while (read > 0) Py_DECREF(args[--read]);
    return result;
  }

  Result<OwnedArray> Finish(int64_t* failed_row, const RowFailureHandler& on_failure) {
    OwnedArray out;
    int64_t row = -1;
    while (!builder_->Finish(&out, &row, &refusal_)) {
      const PyRef refused = std::move(refusal_.refused);
      Error error = Failed(row, failed_row, refused.get());
      while (true) {
        const RowAction action = row < 0 ? RowAction::kFail : Decide(error, row, on_failure);
        if (action == RowAction::kFail) return error;
        const PyRef result = action == RowAction::kRetry ? PyRef::Steal(Invoke(row)) : PyRef::Borrow(Py_None);
        if (result) {
          builder_->Replace(row, result.get());
          break;
        }
        error = Failed(row, failed_row, nullptr);
      }
    }
    return out;
  }

  // Describes what just failed: a pending exception, or the refusal of `result` (nullptr: unknown).
  Error Failed(int64_t row, int64_t* failed_row, PyObject* result) {
    *failed_row = row;
    const int64_t unreadable = std::exchange(unreadable_, -1);
    scalar::Refusal refusal = std::exchange(refusal_, scalar::Refusal{});
    UserException& failure = caller_.last_exception_;
    if (PyErr_Occurred() != nullptr) {
      const bool is_interrupt = PyErr_ExceptionMatches(PyExc_KeyboardInterrupt) != 0;
      failure = scalar::TakeException();
      const std::string text = failure.type_name + (failure.message.empty() ? "" : ": " + failure.message);
      if (is_interrupt) return MakeError(ErrorKind::kCancelled, "KeyboardInterrupt in ", caller_.name_, "()");
      if (unreadable >= 0) {
        const ArrowType& input = caller_.inputs_[static_cast<size_t>(unreadable)];
        return MakeError(ErrorKind::kUserFunction, "argument '", input.name, "' (", input.text, ") of ", caller_.name_,
                         "() has no Python form: ", text);
      }
      Error error =
          MakeError(ErrorKind::kUserFunction, text, failure.traceback.empty() ? "" : "\n" + failure.traceback);
      if (failure.type_name == "leman.errors.FunctionTimeoutError") error.name = "FunctionTimeoutError";
      return error;
    }
    return Refused(std::move(refusal), result);
  }

  Error Refused(scalar::Refusal refusal, PyObject* result) {
    std::string text = caller_.name_ + "() returned ";
    if (result == nullptr) {
      text += "values that do not fit";
    } else {
      text += scalar::BoundedRepr(result) + " (" + scalar::TypeName(Py_TYPE(result)) + ")";
    }
    text += ", declared " + caller_.output_.text + ": " + refusal.reason;
    PyObject* type = refusal.exception == nullptr ? PyExc_ValueError : refusal.exception;
    UserException& failure = caller_.last_exception_;
    failure = UserException{};
    failure.type_name = scalar::TypeName(reinterpret_cast<PyTypeObject*>(type));
    failure.message = text;
    failure.object = PyRef::Steal(PyObject_CallFunction(type, "s", text.c_str()));
    if (!failure.object) {
      // A type that is not made from one text (UnicodeEncodeError): its kind is what can be said.
      PyErr_Clear();
      failure.type_name = "ValueError";
      failure.object = PyRef::Steal(PyObject_CallFunction(PyExc_ValueError, "s", text.c_str()));
    }
    return Error{ErrorKind::kUserFunction, std::move(text)};
  }

  RowAction Decide(const Error& error, int64_t row, const RowFailureHandler& on_failure) {
    if (!on_failure || error.kind != ErrorKind::kUserFunction) return RowAction::kFail;
    const RowAction action = on_failure(row, error, caller_.last_exception_);
    if (action == RowAction::kNull) ++caller_.counts_.failed_rows;
    return action;
  }

  ScalarCaller& caller_;
  std::vector<PyObject*> args_;
  std::vector<scalar::ReaderPtr> readers_;
  scalar::BuilderPtr builder_;
  scalar::Refusal refusal_;
  int64_t unreadable_ = -1;
};

Result<OwnedArray> ScalarCaller::Call(const ArrowArray& inputs, const uint8_t* selected, int64_t* failed_row,
                                      const RowFailureHandler& on_failure) {
  *failed_row = -1;
  last_exception_ = UserException{};
  counts_ = CallCounts{};
  try {
    Pass pass(this);
    LEMAN_RETURN_IF_ERROR(pass.Open(inputs));
    return pass.Run(inputs.length, selected, failed_row, on_failure);
  } catch (const std::bad_alloc&) {
    return MakeError(ErrorKind::kResourceExhausted, "no memory for the results of ", name_, "()");
  }
}

}  // namespace leman::python
