#include <exception>

#include "api/handles.h"
#include "api/host_call.h"

namespace leman {
inline namespace v1 {
namespace {

// The caller's callback and token. What the callback throws stops the job, and is kept for its caller.
class CallersWatch final : public api::JobWatch {
 public:
  explicit CallersWatch(const BackfillOptions& options) : options_(options) {}

  [[nodiscard]] bool wants_progress() const override { return static_cast<bool>(options_.progress); }
  void Update(const Progress& progress) noexcept override {
    if (thrown_) return;
    try {
      options_.progress(progress);
    } catch (...) {
      thrown_ = std::current_exception();
    }
  }
  // Called by the thread that calls Update.
  [[nodiscard]] bool cancelled() const override { return thrown_ != nullptr || options_.cancel.cancelled(); }

  void Rethrow() const {
    if (thrown_) std::rethrow_exception(thrown_);
  }

 private:
  const BackfillOptions& options_;
  std::exception_ptr thrown_;
};

}  // namespace

const std::string& Table::name() const { return impl_->place.name.name; }
const std::string& Table::uri() const { return impl_->place.uri; }

Result<int64_t> Table::Version() const {
  return api::HostCall([&] { return impl_->database->Version(impl_->place.name); });
}

Result<int64_t> Table::CountRows(const std::optional<std::string>& filter) const {
  return api::HostCall([&] { return impl_->database->CountRows(impl_->place.name, filter); });
}

Status Table::AddColumn(const std::string& name, const NativeUdf& udf) const {
  return api::HostCall([&] { return impl_->database->AddColumn(impl_->place.name, name, udf); });
}

Status Table::AddColumn(const std::string& name, const Sql& sql) const {
  return api::HostCall([&] { return impl_->database->AddColumn(impl_->place.name, name, sql); });
}

Result<std::vector<std::string>> Table::AddColumns(const NativeUdf& udf, const std::string& prefix) const {
  return api::HostCall([&] { return impl_->database->AddColumns(impl_->place.name, udf, prefix); });
}

Status Table::AlterColumn(const std::string& name, const NativeUdf& udf) const {
  return api::HostCall([&] { return impl_->database->AlterColumn(impl_->place.name, name, udf); });
}

Status Table::DropColumns(const std::vector<std::string>& names) const {
  return api::HostCall([&] { return impl_->database->DropColumns(impl_->place.name, names); });
}

Result<BackfillResult> Table::Backfill(const std::string& column, const BackfillOptions& options) const {
  CallersWatch watch(options);
  Result<BackfillResult> ended =
      api::HostCall([&] { return impl_->database->Backfill(impl_->place.name, column, options, watch); });
  watch.Rethrow();
  return ended;
}

Result<std::vector<BackfillResult>> Table::Backfill(const std::vector<std::string>& columns,
                                                    const BackfillOptions& options) const {
  CallersWatch watch(options);
  Result<std::vector<BackfillResult>> ended =
      api::HostCall([&] { return impl_->database->Backfill(impl_->place.name, columns, options, watch); });
  watch.Rethrow();
  return ended;
}

Result<std::vector<RowError>> Table::Errors(const ErrorsOptions& options) const {
  return api::HostCall([&] { return impl_->database->Errors(impl_->place.name, options); });
}

Result<BackfillPlan> Table::PlanBackfill(const std::string& column, const BackfillOptions& options) const {
  return api::HostCall([&] { return impl_->database->PlanBackfill(impl_->place.name, column, options); });
}

Status Table::Scan(ArrowArrayStream* out, const ScanOptions& options) const {
  if (out == nullptr) {
    return Error{ErrorKind::kInvalidArgument, "ValueError", "out=nullptr: expected an ArrowArrayStream to fill", {}};
  }
  return api::HostCall([&] { return impl_->database->Scan(impl_->place.name, options, out); });
}

}  // namespace v1
}  // namespace leman
