// A function of a native library as the applier calls it. No lock is taken and no Python runs on this path.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apply/call_slot.h"
#include "apply/udf.h"
#include "base/result.h"
#include "model/arrow_c_data.h"
#include "udf/native_library.h"

namespace leman {

/// What to do about a row that failed; the values are those of the ABI.
enum class NativeRowAction : int { kFail = LEMAN_ROW_FAIL, kNull = LEMAN_ROW_NULL, kRetry = LEMAN_ROW_RETRY };

/// The policy of one thread: asked on that thread for each row that fails.
class NativeRowPolicy {
 public:
  virtual ~NativeRowPolicy() = default;
  virtual NativeRowAction OnRow(int64_t row, const std::string& message) = 0;
  /// The rows that were made null since the last call.
  virtual std::vector<SkippedRow> TakeSkipped() = 0;
};

/// The state of a function in one worker: one for all threads where the function allows it, else one a thread.
class NativeState {
 public:
  /// `inputs`: the schema that batches will have. kInvalidArgument: the function does not take it or its parameters.
  static Result<std::shared_ptr<const NativeState>> Make(std::shared_ptr<const NativeLibrary> library,
                                                         const std::string& name, const std::string& parameters,
                                                         const ArrowSchema& inputs);
  NativeState(const NativeState&) = delete;
  NativeState& operator=(const NativeState&) = delete;
  ~NativeState();

  [[nodiscard]] const LemanUdf& udf() const { return udf_; }
  [[nodiscard]] void* get() const { return state_; }
  [[nodiscard]] bool is_shared() const { return (udf_.flags & LEMAN_UDF_SHARED_STATE) != 0; }

 private:
  NativeState(std::shared_ptr<const NativeLibrary> library, const LemanUdf& udf, void* state)
      : library_(std::move(library)), udf_(udf), state_(state) {}

  std::shared_ptr<const NativeLibrary> library_;  // the code of everything below
  const LemanUdf& udf_;
  void* state_;
};

/// The calls of one thread under a time limit. Native code is not interrupted: its process is given up.
class NativeCalls final : public WatchedCalls {
 public:
  /// The clock outlives this.
  NativeCalls(Clock& clock, int64_t limit_ns) : slot_(clock), limit_ns_(limit_ns) {}

  /// A call on `rows` rows begins, or goes on after it was left for something else.
  void Begin(int64_t rows) {
    position_ = {0, rows};
    slot_.BeginMoving(&position_.first, &position_.rows);
  }
  void End() { slot_.End(); }
  /// Where the function is, if it tells.
  [[nodiscard]] LemanUdfPosition* position() { return &position_; }

  [[nodiscard]] const CallSlot& slot() const override { return slot_; }
  [[nodiscard]] int64_t limit_ns() const override { return limit_ns_; }
  [[nodiscard]] bool can_interrupt() const override { return false; }
  void Interrupt(const CallSlot::Call&) override {}

 private:
  CallSlot slot_;
  int64_t limit_ns_;
  LemanUdfPosition position_{};
};

class NativeUdf final : public Udf {
 public:
  /// `output`: the declared type, which results are checked against. `policy`: null where every failure fails the job.
  /// `calls`: null where they have no time limit.
  NativeUdf(std::shared_ptr<const NativeState> state, OwnedSchema output, std::unique_ptr<NativeRowPolicy> policy,
            std::shared_ptr<NativeCalls> calls = nullptr);

  Result<OwnedArray> Apply(OwnedArray inputs, const RowMask* selected, int64_t* failed_row) override;
  std::vector<SkippedRow> TakeSkipped() override;
  int64_t TakeNullInputs() override;

 private:
  std::shared_ptr<const NativeState> state_;
  std::string name_;
  OwnedSchema output_;
  std::unique_ptr<NativeRowPolicy> policy_;
  std::shared_ptr<NativeCalls> calls_;
  int64_t null_inputs_ = 0;
};

}  // namespace leman
