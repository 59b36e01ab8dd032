#include "udf/native_udf.h"

#include <utility>

#include "base/utf8.h"
#include "udf/array_check.h"
#include "udf/native_error.h"

namespace leman {
namespace {

// Who is asked about a row that failed, and the call that waits for the answer.
struct RowContext {
  NativeRowPolicy* policy;
  NativeCalls* calls;
  int64_t rows;
};

// An answer may come after a pause, which is not the call's time.
int AskPolicy(void* context, int64_t row, const char* message) {
  const auto& asked = *static_cast<RowContext*>(context);
  if (asked.calls != nullptr) asked.calls->End();
  const NativeRowAction action = asked.policy->OnRow(row, message == nullptr ? "" : ValidUtf8(message));
  if (asked.calls != nullptr) asked.calls->Begin(asked.rows);
  return static_cast<int>(action);
}

int Call(const NativeState& state, LemanUdfBatch& batch, NativeCalls* calls, LemanUdfError& error) {
  if (calls == nullptr) return state.udf().apply(state.get(), &batch, &error);
  calls->Begin(batch.inputs->length);
  const bool tells = state.udf().size_bytes >= sizeof(LemanUdf) && state.udf().apply_watched != nullptr;
  const int code = tells ? state.udf().apply_watched(state.get(), &batch, calls->position(), &error)
                         : state.udf().apply(state.get(), &batch, &error);
  calls->End();
  return code;
}

}  // namespace

Result<std::shared_ptr<const NativeState>> NativeState::Make(std::shared_ptr<const NativeLibrary> library,
                                                             const std::string& name, const std::string& parameters,
                                                             const ArrowSchema& inputs) {
  LEMAN_ASSIGN_OR_RETURN(const LemanUdf* const udf, library->Find(name));
  void* state = nullptr;
  LemanUdfError error{-1, {}};
  const int code = udf->init(parameters.c_str(), &inputs, &state, &error);
  if (code != LEMAN_UDF_OK) return NativeError(name, code, error);
  return std::shared_ptr<const NativeState>(new NativeState(std::move(library), *udf, state));
}

NativeState::~NativeState() { udf_.free(state_); }

NativeUdf::NativeUdf(std::shared_ptr<const NativeState> state, OwnedSchema output,
                     std::unique_ptr<NativeRowPolicy> policy, std::shared_ptr<NativeCalls> calls)
    : state_(std::move(state)),
      name_(state_->udf().name),
      output_(std::move(output)),
      policy_(std::move(policy)),
      calls_(std::move(calls)) {}

Result<OwnedArray> NativeUdf::Apply(OwnedArray inputs, const RowMask* selected, int64_t* failed_row) {
  OwnedArray output;
  LemanUdfBatch batch{};
  batch.inputs = inputs.get();
  batch.selected = selected == nullptr ? nullptr : selected->data();
  batch.output = output.Out();
  RowContext context{policy_.get(), calls_.get(), inputs->length};
  batch.context = &context;
  batch.on_row_error = policy_ == nullptr ? nullptr : &AskPolicy;
  LemanUdfError error{-1, {}};
  const int code = Call(*state_, batch, calls_.get(), error);
  null_inputs_ = batch.null_inputs;
  if (code != LEMAN_UDF_OK) {
    *failed_row = error.row >= 0 && error.row < inputs->length ? error.row : -1;
    return NativeError(name_, code, error);
  }
  LEMAN_RETURN_IF_ERROR(CheckArray(name_, *output_.get(), *output.get(), inputs->length));
  return output;
}

std::vector<SkippedRow> NativeUdf::TakeSkipped() {
  if (policy_ == nullptr) return {};
  return policy_->TakeSkipped();
}

int64_t NativeUdf::TakeNullInputs() { return std::exchange(null_inputs_, 0); }

}  // namespace leman
