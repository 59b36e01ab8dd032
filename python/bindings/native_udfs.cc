#include "native_udfs.h"

#include <nanobind/stl/string.h>

#include <utility>
#include <vector>

#include "arrow_exchange.h"
#include "skipped_rows.h"

namespace leman::python {
namespace nb = nanobind;
namespace {

// python/leman/row_policy.py, for the rows of a native function.
class PythonRowPolicy final : public NativeRowPolicy {
 public:
  explicit PythonRowPolicy(nb::object policy)
      : policy_(std::move(policy)), error_(nb::module_::import_("leman.errors").attr("NativeFunctionError")) {}
  ~PythonRowPolicy() override {
    const nb::gil_scoped_acquire gil;
    policy_.reset();
    error_.reset();
  }
  PythonRowPolicy(const PythonRowPolicy&) = delete;
  PythonRowPolicy& operator=(const PythonRowPolicy&) = delete;

  NativeRowAction OnRow(int64_t row, const std::string& message) override {
    const nb::gil_scoped_acquire gil;
    try {
      return static_cast<NativeRowAction>(nb::cast<int>(policy_.attr("on_row")(row, error_(message))));
    } catch (const nb::python_error&) {
      return NativeRowAction::kFail;
    }
  }

  std::vector<SkippedRow> TakeSkipped() override {
    const nb::gil_scoped_acquire gil;
    try {
      return SkippedRowsFrom(policy_.attr("take_skipped")());
    } catch (const nb::python_error&) {
      return {};
    }
  }

 private:
  nb::object policy_;
  nb::object error_;
};

struct Loaded {
  std::shared_ptr<const NativeLibrary> library;
  NativeUdfDescription description;
};

Result<Loaded> Load(const std::string& path, const std::string& name, const std::string& parameters) {
  Loaded loaded;
  LEMAN_ASSIGN_OR_RETURN(loaded.library, NativeLibrary::Open(path));
  LEMAN_ASSIGN_OR_RETURN(const LemanUdf* const udf, loaded.library->Find(name));
  LEMAN_ASSIGN_OR_RETURN(loaded.description, loaded.library->Describe(*udf, parameters));
  return loaded;
}

[[noreturn]] void Throw(const Error& error) {
  if (error.kind != ErrorKind::kUserFunction) throw nb::value_error(error.message.c_str());
  const nb::object type = nb::module_::import_("leman.errors").attr("NativeFunctionError");
  PyErr_SetString(type.ptr(), error.message.c_str());
  throw nb::python_error();
}

nb::dict NamesDict(const LemanUdf& udf) {
  nb::dict dict;
  dict["name"] = std::string(udf.name);
  dict["version"] = std::string(udf.version == nullptr ? "" : udf.version);
  dict["summary"] = std::string(udf.summary == nullptr ? "" : udf.summary);
  dict["shares_state"] = (udf.flags & LEMAN_UDF_SHARED_STATE) != 0;
  return dict;
}

nb::dict DescriptionDict(NativeUdfDescription description, const LemanUdf& udf) {
  nb::dict dict = NamesDict(udf);
  const nb::object field = nb::module_::import_("pyarrow").attr("Field");
  const auto import = [&](OwnedSchema& schema) {
    return field.attr("_import_from_c")(reinterpret_cast<uintptr_t>(schema.get()));
  };
  dict["inputs"] = import(description.inputs);
  dict["output"] = import(description.output);
  return dict;
}

// A list with a dict for each function, or for the one of that name. In the list of all, a function that does not take
// `parameters` says why ("refusal") instead of what it takes and gives.
nb::list DescribeNativeLibrary(const std::string& path, const nb::object& name, const std::string& parameters) {
  auto library = NativeLibrary::Open(path);
  if (!library.ok()) Throw(library.error());
  std::vector<const LemanUdf*> wanted = (*library)->udfs();
  if (!name.is_none()) {
    auto found = (*library)->Find(nb::cast<std::string>(name));
    if (!found.ok()) Throw(found.error());
    wanted = {*found};
  }
  nb::list described;
  for (const LemanUdf* udf : wanted) {
    auto description = (*library)->Describe(*udf, parameters);
    if (description.ok()) {
      described.append(DescriptionDict(std::move(description).value(), *udf));
    } else if (name.is_none()) {
      nb::dict refused = NamesDict(*udf);
      refused["refusal"] = description.error().message;
      described.append(refused);
    } else {
      Throw(description.error());
    }
  }
  return described;
}

// One call on a pyarrow.StructArray of the arguments, in this process.
nb::object CallNativeFunction(const std::string& path, const std::string& name, const std::string& parameters,
                              const nb::object& inputs) {
  auto loaded = Load(path, name, parameters);
  if (!loaded.ok()) Throw(loaded.error());
  const OwnedSchema schema =
      ArrowExchange::FromField(nb::module_::import_("pyarrow").attr("field")("", inputs.attr("type")));
  auto state = NativeState::Make(loaded->library, name, parameters, *schema.get());
  if (!state.ok()) Throw(state.error());
  const OwnedSchema output = CopyOf(*loaded->description.output.get());
  NativeUdf udf(*state, CopyOf(*output.get()), nullptr);
  OwnedArray array = ArrowExchange::FromArray(inputs);
  int64_t failed_row = -1;
  auto result = [&] {
    const nb::gil_scoped_release no_gil;
    return udf.Apply(std::move(array), nullptr, &failed_row);
  }();
  if (!result.ok()) Throw(result.error());
  return ArrowExchange().ToArray(std::move(result).value(), *output.get());
}

}  // namespace

Result<std::unique_ptr<Udf>> NativeStates::MakeUdf(const nb::object& session, const ArrowSchema& inputs,
                                                   OwnedSchema output, std::shared_ptr<NativeCalls> calls) {
  const nb::object function = session.attr("native_function")();
  const auto path = nb::cast<std::string>(function[0]);
  const auto name = nb::cast<std::string>(function[1]);
  const auto parameters = nb::cast<std::string>(function[2]);
  const Key key(path, name, parameters, nb::cast<std::string>(session.attr("input_schema").attr("to_string")()));
  const auto shared = shared_.find(key);
  std::shared_ptr<const NativeState> state = shared == shared_.end() ? nullptr : shared->second;
  if (state == nullptr) {
    const nb::gil_scoped_release no_gil;  // A model may take long to load.
    LEMAN_ASSIGN_OR_RETURN(auto library, NativeLibrary::Open(path));
    LEMAN_ASSIGN_OR_RETURN(state, NativeState::Make(std::move(library), name, parameters, inputs));
  }
  if (state->is_shared()) shared_[key] = state;
  std::unique_ptr<NativeRowPolicy> policy;
  if (nb::object of_session = session.attr("row_policy")(); nb::cast<bool>(of_session.attr("decides"))) {
    policy = std::make_unique<PythonRowPolicy>(std::move(of_session));
  }
  return std::unique_ptr<Udf>(
      std::make_unique<NativeUdf>(std::move(state), std::move(output), std::move(policy), std::move(calls)));
}

void BindNativeUdfs(nb::module_& module) {
  module.def("describe_native_library", &DescribeNativeLibrary, nb::arg("path"), nb::arg("name").none(),
             nb::arg("parameters"));
  module.def("call_native_function", &CallNativeFunction);
}

}  // namespace leman::python
