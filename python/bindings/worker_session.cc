#include "worker_session.h"

#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>
#include <unistd.h>

#include <array>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "blob_writer.h"
#include "call_guard.h"
#include "place/placing_writer.h"
#include "place/upload_page_storage.h"
#include "python_error.h"
#include "remote_store.h"
#include "scalar/scalar_caller.h"
#include "shared_object.h"
#include "skipped_rows.h"

namespace leman::python {
namespace nb = nanobind;
namespace {

class PythonReader final : public BatchReader {
 public:
  explicit PythonReader(nb::object session) : session_(std::move(session)) {}

  Result<BatchStream> Open(const ReadRequest& request) override {
    const nb::gil_scoped_acquire gil;
    std::vector<std::tuple<int64_t, int64_t, int64_t>> pieces;
    for (const RowRange& piece : request.pieces) pieces.emplace_back(piece.fragment_id, piece.start, piece.end);
    try {
      const nb::object reader =
          session_.get().attr("open_reader")(pieces, request.batch_rows, request.filter, request.with_deleted_rows);
      BatchStream stream;
      stream.stream = ArrowExchange::FromReader(reader);
      if (stream.stream->get_schema(stream.stream.get(), stream.schema.Out()) != 0) {
        return MakeError(ErrorKind::kInternal, "the table gave a stream without a schema");
      }
      return stream;
    } catch (const nb::python_error& exception) {
      return ErrorOf(exception, ErrorKind::kInternal);
    }
  }

  Error Explain(const ReadRequest& request, Error error) override {
    const nb::gil_scoped_acquire gil;
    std::set<int64_t> fragments;
    for (const RowRange& piece : request.pieces) fragments.insert(piece.fragment_id);
    try {
      const std::vector<int64_t> ids(fragments.begin(), fragments.end());
      error.message = nb::cast<std::string>(session_.get().attr("explain_read")(ids, error.message));
      return error;
    } catch (const nb::python_error& exception) {
      return ErrorOf(exception, error.kind);
    }
  }

 private:
  SharedObject session_;
};

class PythonFile final : public ColumnFile {
 public:
  PythonFile(nb::object file, const ArrowExchange& exchange, const ArrowSchema& type)
      : file_(std::move(file)), exchange_(exchange), type_(type) {}

  Status Write(OwnedArray values) override {
    const nb::gil_scoped_acquire gil;
    try {
      file_.get().attr("write")(exchange_.ToArray(std::move(values), type_));
      return Ok();
    } catch (const nb::python_error& exception) {
      return ErrorOf(exception, ErrorKind::kInternal);
    }
  }

  Result<ClosedFile> Close(const std::map<std::string, std::string>& metadata) override {
    const nb::gil_scoped_acquire gil;
    try {
      nb::dict entries;
      for (const auto& [key, value] : metadata) entries[key.c_str()] = value;
      return ClosedFile{nb::cast<int64_t>(file_.get().attr("close")(entries))};
    } catch (const nb::python_error& exception) {
      return ErrorOf(exception, ErrorKind::kInternal);
    }
  }

 private:
  SharedObject file_;
  const ArrowExchange& exchange_;
  const ArrowSchema& type_;
};

// What all ports of a thread share.
struct Shared {
  nb::object session;
  ArrowExchange exchange;
  OwnedSchema output_type;
  std::shared_ptr<CallGuard> guard;           // Of a Python function; null: calls have no time limit.
  std::shared_ptr<NativeCalls> native_calls;  // Of a native function; likewise.

  [[nodiscard]] std::shared_ptr<WatchedCalls> calls() const {
    if (native_calls != nullptr) return native_calls;
    return guard;
  }
};

class PythonWriter final : public ColumnWriter {
 public:
  /// Of arrays of `type`.
  PythonWriter(std::shared_ptr<Shared> shared, OwnedSchema type) : shared_(std::move(shared)), type_(std::move(type)) {}
  ~PythonWriter() override {
    const nb::gil_scoped_acquire gil;
    shared_.reset();
  }
  PythonWriter(const PythonWriter&) = delete;
  PythonWriter& operator=(const PythonWriter&) = delete;

  Result<std::unique_ptr<ColumnFile>> Create(const std::string& path, const std::string&) override {
    const nb::gil_scoped_acquire gil;
    try {
      return std::unique_ptr<ColumnFile>(
          std::make_unique<PythonFile>(shared_->session.attr("create_file")(path), shared_->exchange, *type_.get()));
    } catch (const nb::python_error& exception) {
      return ErrorOf(exception, ErrorKind::kInternal);
    }
  }

 private:
  std::shared_ptr<Shared> shared_;
  OwnedSchema type_;
};

std::unique_ptr<ColumnWriter> MakeWriter(const std::shared_ptr<Shared>& shared, bool places) {
  auto writer = std::make_unique<PythonWriter>(shared, CopyOf(*shared->output_type.get()));
  if (!places) return writer;
  return std::make_unique<PlacingWriter>(std::move(writer), *shared->output_type.get());
}

// Large plain values become parts of the upload of their fragment's data file, where the coordinator names it.
std::unique_ptr<ColumnWriter> MakeUploadingWriter(const std::shared_ptr<Shared>& shared, const std::string& root) {
  const nb::object door = shared->session.attr("door");
  auto writer = std::make_unique<PythonWriter>(shared, CopyOf(*shared->output_type.get()));
  PlacingOptions options;
  constexpr int64_t kPartBytes = 6 << 20;
  static_assert(kPartBytes > PartLimits{}.min_part_bytes);
  options.place_large_values_from_bytes = kPartBytes;
  const auto door_kept = std::make_shared<SharedObject>(door);
  const auto make_uploads = [door_kept]() -> std::unique_ptr<PartUploads> {
    const nb::gil_scoped_acquire gil;
    return std::make_unique<RemoteUploads>(door_kept->get().attr("part_uploads")());
  };
  return std::make_unique<PlacingWriter>(std::move(writer), *shared->output_type.get(), options,
                                         MakeUploadPageStorage(root, OpenStore(door, root), make_uploads));
}

// Of a column of blobs: all values lie in files as they are.
std::unique_ptr<ColumnWriter> MakeBlobWriter(const std::shared_ptr<Shared>& shared, bool places) {
  const OwnedSchema type = ArrowExchange::FromField(shared->session.attr("value_field"));
  std::unique_ptr<ColumnWriter> writer = std::make_unique<PythonWriter>(shared, CopyOf(*type.get()));
  if (places) {
    PlacingOptions options;
    options.all_plain = true;
    writer = std::make_unique<PlacingWriter>(std::move(writer), *type.get(), options);
  }
  return std::make_unique<BlobWriter>(std::move(writer), shared->session.attr("blob_values"),
                                      CopyOf(*shared->output_type.get()));
}

nb::bytes MaskBytes(const RowMask& mask) { return nb::bytes(reinterpret_cast<const char*>(mask.data()), mask.size()); }

class PythonMerger final : public ArrayMerger {
 public:
  explicit PythonMerger(std::shared_ptr<Shared> shared)
      : shared_(std::move(shared)), merge_(nb::module_::import_("leman.batch_call").attr("merge")) {}

  Result<OwnedArray> Merge(const RowMask& selected, OwnedArray computed, OwnedArray carried) override {
    const nb::gil_scoped_acquire gil;
    try {
      const ArrowSchema& type = *shared_->output_type.get();
      return ArrowExchange::FromArray(merge_.get()(MaskBytes(selected),
                                                   shared_->exchange.ToArray(std::move(computed), type),
                                                   shared_->exchange.ToArray(std::move(carried), type)));
    } catch (const nb::python_error& exception) {
      return ErrorOf(exception, ErrorKind::kInternal);
    }
  }

 private:
  std::shared_ptr<Shared> shared_;
  SharedObject merge_;
};

class BatchUdf final : public Udf {
 public:
  BatchUdf(std::shared_ptr<Shared> shared, OwnedSchema inputs)
      : shared_(std::move(shared)),
        inputs_(std::move(inputs)),
        apply_(shared_->session.attr("batch_function")(shared_->guard).attr("apply")),
        name_(nb::cast<std::string>(shared_->session.attr("function").attr("name"))) {}

  Result<OwnedArray> Apply(OwnedArray inputs, const RowMask* selected, int64_t* failed_row) override {
    const nb::gil_scoped_acquire gil;
    try {
      const nb::object batch = shared_->exchange.ToRecordBatch(std::move(inputs), *inputs_.get());
      const nb::object mask = selected == nullptr ? nb::none() : nb::object(MaskBytes(*selected));
      const nb::object applied = apply_.get()(batch, mask);
      skipped_ = SkippedRowsFrom(applied[1]);
      return ArrowExchange::FromArray(applied[0]);
    } catch (nb::python_error& exception) {
      if (shared_->guard != nullptr) shared_->guard->End();
      if (nb::hasattr(exception.value(), "leman_row")) {
        *failed_row = nb::cast<int64_t>(exception.value().attr("leman_row"));
      }
      return UserErrorOf(exception, name_);
    }
  }
  std::vector<SkippedRow> TakeSkipped() override { return std::exchange(skipped_, {}); }

 private:
  std::shared_ptr<Shared> shared_;
  OwnedSchema inputs_;
  SharedObject apply_;
  std::string name_;
  std::vector<SkippedRow> skipped_;
};

// What a scalar function's call gave. In a worker nobody presses Ctrl-C: an interrupt is one that the function raised,
// and a task that nobody cancelled must be told as failed.
Result<OwnedArray> NotCancelled(Result<OwnedArray> result, const ScalarCaller& caller) {
  if (result.ok() || result.error().kind != ErrorKind::kCancelled) return result;
  const std::string& traceback = caller.last_exception().traceback;
  return MakeError(ErrorKind::kUserFunction, caller.name(), "() raised KeyboardInterrupt",
                   traceback.empty() ? "" : "\n" + traceback);
}

// `policy` has on_row of python/leman/row_policy.py.
RowAction DecideBy(const nb::object& policy, int64_t row, const UserException& exception) {
  const nb::object error = nb::borrow(exception.object.get());
  switch (nb::cast<int>(policy.attr("on_row")(row, error, exception.traceback))) {
    case 1:
      return RowAction::kNull;
    case 2:
      return RowAction::kRetry;
    default:
      return RowAction::kFail;
  }
}

class ScalarUdf final : public Udf {
 public:
  /// `policy`: a RowPolicy, or none where every failure fails the job.
  ScalarUdf(std::unique_ptr<ScalarCaller> caller, nb::object policy)
      : caller_(std::move(caller)), has_policy_(!policy.is_none()), policy_(std::move(policy)) {}
  ~ScalarUdf() override {
    const nb::gil_scoped_acquire gil;
    caller_.reset();
  }
  ScalarUdf(const ScalarUdf&) = delete;
  ScalarUdf& operator=(const ScalarUdf&) = delete;

  Result<OwnedArray> Apply(OwnedArray inputs, const RowMask* selected, int64_t* failed_row) override {
    const nb::gil_scoped_acquire gil;
    const uint8_t* mask = selected == nullptr ? nullptr : selected->data();
    if (!has_policy_) return NotCancelled(caller_->Call(*inputs.get(), mask, failed_row), *caller_);
    try {
      auto result = caller_->Call(
          *inputs.get(), mask, failed_row,
          [this](int64_t row, const Error&, const UserException& exception) { return Decide(row, exception); });
      skipped_ = SkippedRowsFrom(policy_.get().attr("take_skipped")());
      return NotCancelled(std::move(result), *caller_);
    } catch (const nb::python_error& exception) {
      return ErrorOf(exception, ErrorKind::kInternal);
    }
  }
  std::vector<SkippedRow> TakeSkipped() override { return std::exchange(skipped_, {}); }
  int64_t TakeNullInputs() override { return caller_->last_counts().null_inputs; }

 private:
  RowAction Decide(int64_t row, const UserException& exception) { return DecideBy(policy_.get(), row, exception); }

  std::unique_ptr<ScalarCaller> caller_;
  bool has_policy_;
  SharedObject policy_;
  std::vector<SkippedRow> skipped_;
};

// An `async def` function: its rows are computed by python/leman/async_call.py, and their values come into Arrow
// buffers as those of a plain function do, by a caller of a function without arguments that gives the next value.
class AsyncUdf final : public Udf {
 public:
  AsyncUdf(std::shared_ptr<Shared> shared, OwnedSchema inputs, nb::object rows, std::unique_ptr<ScalarCaller> taker)
      : shared_(std::move(shared)), inputs_(std::move(inputs)), rows_(std::move(rows)), taker_(std::move(taker)) {}
  ~AsyncUdf() override {
    const nb::gil_scoped_acquire gil;
    taker_.reset();
    shared_.reset();
  }
  AsyncUdf(const AsyncUdf&) = delete;
  AsyncUdf& operator=(const AsyncUdf&) = delete;

  Result<OwnedArray> Apply(OwnedArray inputs, const RowMask* selected, int64_t* failed_row) override {
    const nb::gil_scoped_acquire gil;
    ArrowArray no_columns{};
    std::array<const void*, 1> no_buffers{};
    no_columns.length = inputs.get()->length;
    no_columns.n_buffers = 1;
    no_columns.buffers = no_buffers.data();
    try {
      const nb::object batch = shared_->exchange.ToRecordBatch(std::move(inputs), *inputs_.get());
      rows_.get().attr("run")(batch, selected == nullptr ? nb::none() : nb::object(MaskBytes(*selected)));
      null_inputs_ = nb::cast<int64_t>(rows_.get().attr("null_inputs"));
      auto result = taker_->Call(
          no_columns, selected == nullptr ? nullptr : selected->data(), failed_row,
          [this](int64_t row, const Error&, const UserException& exception) { return Decide(row, exception); });
      skipped_ = SkippedRowsFrom(rows_.get().attr("take_skipped")());
      return result;
    } catch (nb::python_error& exception) {
      *failed_row = nb::cast<int64_t>(rows_.get().attr("failed_row"));
      return UserErrorOf(exception, taker_->name());
    }
  }
  std::vector<SkippedRow> TakeSkipped() override { return std::exchange(skipped_, {}); }
  int64_t TakeNullInputs() override { return null_inputs_; }

 private:
  RowAction Decide(int64_t row, const UserException& exception) {
    const RowAction action = DecideBy(rows_.get(), row, exception);
    if (action == RowAction::kRetry) rows_.get().attr("again")();
    return action;
  }

  std::shared_ptr<Shared> shared_;
  OwnedSchema inputs_;
  SharedObject rows_;
  std::unique_ptr<ScalarCaller> taker_;
  std::vector<SkippedRow> skipped_;
  int64_t null_inputs_ = 0;
};

Result<std::unique_ptr<Udf>> MakeAsyncUdf(const std::shared_ptr<Shared>& shared, OwnedSchema inputs) {
  const nb::object rows = shared->session.attr("async_function")();
  const nb::object pyarrow = nb::module_::import_("pyarrow");
  const OwnedSchema no_columns = ArrowExchange::FromField(pyarrow.attr("schema")(nb::list()));
  LEMAN_ASSIGN_OR_RETURN(auto taker, ScalarCaller::Make(rows.ptr(), *no_columns.get(), *shared->output_type.get(), {}));
  return std::unique_ptr<Udf>(std::make_unique<AsyncUdf>(shared, std::move(inputs), rows, std::move(taker)));
}

// Nothing where the function has no `timeout`.
void LimitCalls(Shared& shared, Clock& clock) {
  const nb::object limit = shared.session.attr("call_limit_s");
  if (limit.is_none()) return;
  const auto limit_s = nb::cast<double>(limit);
  if (nb::cast<std::string>(shared.session.attr("kind")) == "native") {
    constexpr double kNsPerSecond = 1e9;
    shared.native_calls = std::make_shared<NativeCalls>(clock, static_cast<int64_t>(limit_s * kNsPerSecond));
    return;
  }
  const auto on_main_thread = nb::cast<bool>(shared.session.attr("on_main_thread")());
  shared.guard = std::make_shared<CallGuard>(clock, limit_s, on_main_thread);
  if (on_main_thread) shared.session.attr("interrupt_by_signal")(shared.guard);
}

Result<std::unique_ptr<Udf>> MakeUdf(const std::shared_ptr<Shared>& shared, OwnedSchema inputs, NativeStates& native) {
  const auto kind = nb::cast<std::string>(shared->session.attr("kind"));
  if (kind == "native") {
    return native.MakeUdf(shared->session, *inputs.get(), CopyOf(*shared->output_type.get()), shared->native_calls);
  }
  if (kind == "async") return MakeAsyncUdf(shared, std::move(inputs));
  if (kind != "scalar") {
    return std::unique_ptr<Udf>(std::make_unique<BatchUdf>(shared, std::move(inputs)));
  }
  const auto ndarrays = nb::cast<std::vector<bool>>(shared->session.attr("ndarrays"));
  std::vector<ArgumentForm> forms;
  for (const bool ndarray : ndarrays) forms.push_back(ndarray ? ArgumentForm::kNdarray : ArgumentForm::kPlain);
  const nb::object callable = shared->session.attr("callable");
  LEMAN_ASSIGN_OR_RETURN(auto caller,
                         ScalarCaller::Make(callable.ptr(), *inputs.get(), *shared->output_type.get(),
                                            nb::cast<std::vector<bool>>(shared->session.attr("skip_null")), forms));
  caller->set_bracket(shared->guard.get());
  nb::object policy = shared->session.attr("row_policy")();
  if (!nb::cast<bool>(policy.attr("decides"))) policy = nb::none();
  return std::unique_ptr<Udf>(std::make_unique<ScalarUdf>(std::move(caller), std::move(policy)));
}

}  // namespace

Status PythonWorkerHost::SetUp(const SetupMessage& setup) {
  checkpoint_root_ = setup.checkpoint_root;
  elsewhere_ = setup.checkpoint_root != setup.table_root;
  const nb::gil_scoped_acquire gil;
  try {
    session_ = session_class_(nb::bytes(setup.host_payload.data(), setup.host_payload.size()));
    return Ok();
  } catch (nb::python_error& exception) {
    const nb::object value = nb::borrow(exception.value());
    const bool named = nb::hasattr(value, "leman_function");
    const auto name =
        named ? nb::cast<std::string>(value.attr("leman_function")) : "that the column is to be filled by";
    Error error = UserErrorOf(exception, name);
    error.message = "a worker could not be set up: " + error.message;
    return error;
  }
}

Result<ThreadTools> PythonWorkerHost::MakeThreadTools() {
  const nb::gil_scoped_acquire gil;
  try {
    auto shared = std::make_shared<Shared>();
    shared->session = session_;
    shared->output_type = ArrowExchange::FromField(session_.attr("output_field"));
    LimitCalls(*shared, clock_);
    ThreadTools tools;
    tools.calls = shared->calls();
    tools.store = OpenStore(session_.attr("door"), checkpoint_root_);
    tools.output_type = CopyOf(*shared->output_type.get());
    tools.reader = std::make_unique<PythonReader>(session_);
    // Values are written to their final place in files of the table's file system only.
    const bool places = session_.attr("door").is_none() && !elsewhere_;
    if (nb::cast<bool>(session_.attr("fills_blobs"))) {
      tools.writer = MakeBlobWriter(shared, places);
    } else if (!places && !elsewhere_ && nb::cast<bool>(session_.attr("door").attr("writes_once"))) {
      tools.writer = MakeUploadingWriter(shared, checkpoint_root_);
    } else {
      tools.writer = MakeWriter(shared, places);
    }
    tools.merger = std::make_unique<PythonMerger>(shared);
    LEMAN_ASSIGN_OR_RETURN(tools.udf,
                           MakeUdf(shared, ArrowExchange::FromField(session_.attr("input_schema")), native_));
    tools.read_columns = nb::cast<int64_t>(session_.attr("read_columns"));
    for (const nb::handle rider : session_.attr("riders")) {
      // One that cannot be made is computed by its own job, which says why.
      Result<RiderTools> made = MakeRider(nb::borrow(rider), places);
      if (made.ok()) tools.riders.push_back(std::move(made).value());
    }
    return tools;
  } catch (const nb::python_error& exception) {
    return ErrorOf(exception, ErrorKind::kInternal);
  }
}

Result<RiderTools> PythonWorkerHost::MakeRider(const nb::object& session, bool places) {
  auto shared = std::make_shared<Shared>();
  shared->session = session;
  shared->output_type = ArrowExchange::FromField(session.attr("output_field"));
  RiderTools tools;
  tools.output_type = CopyOf(*shared->output_type.get());
  tools.writer = MakeWriter(shared, places);
  tools.columns = {nb::cast<int64_t>(session.attr("first_column")), nb::cast<int64_t>(session.attr("last_column"))};
  tools.checkpoint_folder = nb::cast<std::string>(session.attr("checkpoint_folder"));
  for (const auto& [fragment, key] : nb::cast<nb::dict>(session.attr("fragment_keys"))) {
    tools.fragment_keys[nb::cast<int64_t>(fragment)] = nb::cast<std::string>(key);
  }
  LEMAN_ASSIGN_OR_RETURN(tools.udf, MakeUdf(shared, ArrowExchange::FromField(session.attr("input_schema")), native_));
  return tools;
}

void PythonWorkerHost::FreeMemory() {
  const nb::gil_scoped_acquire gil;
  try {
    session_.attr("free_memory")();
  } catch (nb::python_error& exception) {
    exception.discard_as_unraisable("freeing memory");
  }
}

void PythonWorkerHost::OnCoordinatorGone() { ::_exit(3); }

void PythonWorkerHost::OnStuck() { ::_exit(4); }

}  // namespace leman::python
