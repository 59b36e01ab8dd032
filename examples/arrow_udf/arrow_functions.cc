// A native UDF written with Arrow C++: joins lists of texts, a type that leman/udf.h has no view of.
//
// Leman and Arrow C++ share the structs of the Arrow C data interface, so the function is a plain LemanUdf:
// docs/formats/native_udf_abi.md says what each of its callbacks has to do.
#include <arrow/api.h>
#include <arrow/c/bridge.h>
#include <leman/udf_abi.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <string>

namespace {

// Not nullable: rows without a list are null, without a call.
const auto kInputs = arrow::schema({arrow::field("words", arrow::list(arrow::utf8()), /*nullable=*/false)});

int Fail(LemanUdfError* error, int code, const arrow::Status& status) {
  error->row = -1;
  std::snprintf(error->message, sizeof error->message, "%s", status.ToString().c_str());
  return code;
}

int Describe(const char* parameters, ArrowSchema* inputs, ArrowSchema* output, LemanUdfError* error) {
  if (std::strcmp(parameters, "{}") != 0) {
    return Fail(error, LEMAN_UDF_INVALID, arrow::Status::Invalid("takes no parameters, got ", parameters));
  }
  arrow::Status status = arrow::ExportSchema(*kInputs, inputs);
  if (status.ok()) status = arrow::ExportField(*arrow::field("value", arrow::utf8()), output);
  return status.ok() ? LEMAN_UDF_OK : Fail(error, LEMAN_UDF_INVALID, status);
}

int Init(const char*, const ArrowSchema* inputs, void** state, LemanUdfError* error) {
  *state = nullptr;  // Nothing to keep: a model would be loaded here.
  if (inputs->n_children == 1 && std::strcmp(inputs->children[0]->format, "+l") == 0) return LEMAN_UDF_OK;
  return Fail(error, LEMAN_UDF_INVALID, arrow::Status::TypeError("takes a list of texts"));
}

// The batch's arguments as an Arrow array. They are borrowed: the copy of the struct releases nothing, and neither the
// array nor a slice of it may outlive the call.
arrow::Result<std::shared_ptr<arrow::StructArray>> Borrow(const ArrowArray* inputs) {
  ArrowArray copy = *inputs;
  copy.release = [](ArrowArray* array) { array->release = nullptr; };
  ARROW_ASSIGN_OR_RAISE(auto array, arrow::ImportArray(&copy, arrow::struct_(kInputs->fields())));
  return std::static_pointer_cast<arrow::StructArray>(array);
}

arrow::Status Join(LemanUdfBatch* batch) {
  ARROW_ASSIGN_OR_RAISE(const auto arguments, Borrow(batch->inputs));
  const auto column = arguments->field(0);  // with the struct's offset
  const auto& lists = static_cast<const arrow::ListArray&>(*column);
  const auto& words = static_cast<const arrow::StringArray&>(*lists.values());
  arrow::StringBuilder builder;
  for (int64_t row = 0; row < lists.length(); ++row) {
    const bool selected = batch->selected == nullptr || batch->selected[row] != 0;
    if (!selected || lists.IsNull(row)) {
      if (selected) ++batch->null_inputs;
      ARROW_RETURN_NOT_OK(builder.AppendNull());
      continue;
    }
    std::string joined;
    for (int64_t i = lists.value_offset(row); i < lists.value_offset(row + 1); ++i) {
      if (words.IsNull(i)) continue;
      if (!joined.empty()) joined += '-';
      joined += words.GetView(i);
    }
    ARROW_RETURN_NOT_OK(builder.Append(joined));
  }
  ARROW_ASSIGN_OR_RAISE(const auto values, builder.Finish());
  return arrow::ExportArray(*values, batch->output);
}

// No exception may leave a callback; Arrow C++ throws none, but an allocation of ours might.
int Apply(void*, LemanUdfBatch* batch, LemanUdfError* error) try {
  const arrow::Status status = Join(batch);
  return status.ok() ? LEMAN_UDF_OK : Fail(error, LEMAN_UDF_ROW_FAILED, status);
} catch (const std::exception& failed) {
  return Fail(error, LEMAN_UDF_NO_MEMORY, arrow::Status::OutOfMemory(failed.what()));
}

void Free(void*) {}

const LemanUdf kJoin = {sizeof(LemanUdf),
                        "join_words",
                        nullptr,
                        "words with a hyphen between them",
                        LEMAN_UDF_SHARED_STATE,
                        Describe,
                        Init,
                        Apply,
                        Free};
const LemanUdf* const kUdfs[] = {&kJoin};
const LemanUdfLibrary kLibrary = {LEMAN_UDF_ABI_VERSION, 1, kUdfs};

}  // namespace

extern "C" __attribute__((visibility("default"))) const LemanUdfLibrary* leman_udf_library() { return &kLibrary; }
