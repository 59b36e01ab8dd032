#include "apply/applier.h"

#include <algorithm>
#include <utility>

#include "model/arrow_layout.h"

namespace leman {
namespace {

// Unselects the rows that are not listed; `first` is the physical row of the mask's first.
void KeepListed(const std::vector<int64_t>& rows, int64_t first, RowMask& mask) {
  RowMask listed(mask.size(), 0);
  for (auto it = std::lower_bound(rows.begin(), rows.end(), first); it != rows.end(); ++it) {
    if (*it - first >= static_cast<int64_t>(mask.size())) break;
    listed[static_cast<size_t>(*it - first)] = 1;
  }
  for (size_t i = 0; i < mask.size(); ++i) mask[i] &= listed[i];
}

// Unselects the rows that are deleted; `live` is null there.
void KeepLive(const ArrowArray& live, int64_t offset, RowMask& mask) {
  for (size_t i = 0; i < mask.size(); ++i) mask[i] &= IsValidAt(live, offset + static_cast<int64_t>(i)) ? 1 : 0;
}

}  // namespace

// The state of one Run.
struct Applier::TaskRun {
  const TaskOrder& order;
  TaskObserver& observer;
  BatchCutter cutter;
  RowRange* failed_at;
  OwnedSchema schema;
  int64_t rows_to_do;  // shrinks on request
  int64_t rows_done = 0;
  size_t piece = 0;       // the piece that the next row belongs to
  int64_t piece_row = 0;  // its next row, from the piece's start
  std::unique_ptr<ColumnFile> file;
  std::string file_key;    // Temporary.
  int64_t file_start = 0;  // row of the piece, from its start
  int64_t file_computed = 0;
  WorkTimes times;
  std::vector<SkippedRow> skipped;
  int64_t last_progress_ns = 0;

  [[nodiscard]] const RowRange& current_piece() const { return order.task.pieces[piece]; }
  [[nodiscard]] bool IsWholeFragment(const RowRange& range) const {
    return order.fragment_rows.empty() || range.rows() == order.fragment_rows[piece];
  }
  [[nodiscard]] RowRange RowsAt(int64_t rows) const {
    const RowRange& range = current_piece();
    return {range.fragment_id, range.start + piece_row, std::min(range.end, range.start + piece_row + rows)};
  }
};

// A checkpoint that is cut and not yet published.
struct Applier::FileInHand {
  std::unique_ptr<ColumnFile> file;
  std::string file_key;  // Temporary.
  std::string pages_path;
  std::string fragment_key;
  bool whole_fragment;
  CheckpointDone done;
};

Applier::Applier(ApplierPorts ports, CutOptions cut, int64_t input_columns, std::string name,
                 std::string checkpoint_root)
    : ports_(std::move(ports)),
      cut_(cut),
      input_columns_(input_columns),
      read_columns_(std::max(ports_.read_columns, input_columns)),
      name_(std::move(name)),
      checkpoint_root_(std::move(checkpoint_root)) {
  if (!ports_.writes_behind) return;
  constexpr int64_t kMostBytes = 64 << 20;
  constexpr int64_t kShare = 8;  // Of the worker's memory, which is counted as all that it holds is.
  const bool limited = ports_.memory != nullptr;
  behind_ = std::make_unique<WriteBehind>(limited ? std::min(kMostBytes, ports_.memory->budget_bytes() / kShare)
                                                  : kMostBytes);
  ports_.writer.UseQueue(*behind_);
}

Status Applier::Run(const TaskOrder& order, TaskObserver& observer, RowRange* failed_at) {
  TaskRun run{order, observer, BatchCutter(cut_), failed_at, {}, order.task.rows()};
  const bool rides = order.filter.empty() && order.task.attempt == 1 && !order.task.given_up;
  for (const auto& rider : ports_.riders) rider->Begin(rides);
  Status status = RunTask(run);
  WaitForWrites();
  RowRange late_at;
  const Status behind = FailureBehind(&late_at);
  if (status.ok() && !behind.ok()) {
    status = behind;
    *failed_at = late_at;
  }
  for (const auto& rider : ports_.riders) rider->End();
  return status;
}

Status Applier::RunTask(TaskRun& run) {
  const TaskOrder& order = run.order;
  *run.failed_at = order.task.pieces.front();
  ReadRequest request{order.task.pieces, cut_.batch_rows, order.filter, order.with_deleted_rows};
  const int64_t open_ns = ports_.clock.MonotonicNs();
  Result<BatchStream> opened = ports_.reader.Open(request);
  if (!opened.ok()) return ports_.reader.Explain(request, opened.error());
  BatchStream source = std::move(opened).value();
  run.schema = std::move(source.schema);
  run.times.read_ns += ports_.clock.MonotonicNs() - open_ns;
  while (run.rows_done < run.rows_to_do) {
    if (run.observer.cancelled()) return MakeError(ErrorKind::kCancelled, "the task was cancelled");
    const int64_t start_ns = ports_.clock.MonotonicNs();
    auto batch = std::make_shared<OwnedArray>();
    if (source.stream->get_next(source.stream.get(), batch->Out()) != 0) {
      const char* reason = source.stream->get_last_error(source.stream.get());
      Error error = MakeError(ErrorKind::kRetryable, "read rows: ", reason == nullptr ? "unknown error" : reason);
      KeepComputed(run);
      return ports_.reader.Explain(request, std::move(error));
    }
    run.times.read_ns += ports_.clock.MonotonicNs() - start_ns;
    if (batch->empty()) {
      return MakeError(ErrorKind::kInternal, "the table gave ", run.rows_done, " rows of a task of ", run.rows_to_do);
    }
    LEMAN_RETURN_IF_ERROR(ProcessBatch(run, batch));
  }
  return Ok();
}

Status Applier::ProcessBatch(TaskRun& run, const SharedArray& batch) {
  int64_t offset = 0;
  const int64_t batch_rows = batch->get()->length;
  run.times.bytes_read += ArrayBytes(*run.schema.get(), *batch->get());
  while (offset < batch_rows && run.rows_done < run.rows_to_do) {
    LEMAN_RETURN_IF_ERROR(FailureBehind(run.failed_at));
    if (run.observer.cancelled()) return MakeError(ErrorKind::kCancelled, "the task was cancelled");
    if (const int64_t keep = run.observer.TakeShrinkRequest(); keep >= 0) {
      const int64_t wanted = std::clamp(keep, run.rows_done, run.rows_to_do);
      run.rows_to_do = run.cutter.RowsToKeep(wanted, run.rows_done, run.rows_to_do);
      if (run.rows_to_do == run.rows_done && run.file != nullptr) LEMAN_RETURN_IF_ERROR(CutCheckpoint(run));
      run.observer.OnShrunk(run.rows_to_do);
      if (run.rows_to_do == run.rows_done) return Ok();
    }
    const int64_t rows = NextCallRows(run, batch_rows - offset);
    *run.failed_at = run.RowsAt(rows);
    const int64_t start_ns = ports_.clock.MonotonicNs();
    int64_t selected_rows = 0;
    Result<OwnedArray> computed = ComputeRows(run, batch, offset, rows, &selected_rows);
    if (!computed.ok()) {
      KeepComputed(run);
      return computed.error();
    }
    OwnedArray values = std::move(computed).value();
    int64_t bytes = ArrayBytes(ports_.output_type, *values.get());
    LEMAN_RETURN_IF_ERROR(WriteRows(run, std::move(values)));
    bytes += Ride(run, batch, offset, rows);
    if (ports_.memory != nullptr && selected_rows > 0) ports_.memory->OnCall(selected_rows);
    const int64_t now_ns = ports_.clock.MonotonicNs();
    run.cutter.OnCall(rows, now_ns - start_ns, bytes);
    run.file_computed += selected_rows;
    run.rows_done += rows;
    run.piece_row += rows;
    offset += rows;
    const bool shared = run.file_start > 0 || !run.IsWholeFragment(run.current_piece());
    const bool piece_ends = run.piece_row == run.current_piece().rows();
    const int64_t rows_left = std::min(run.current_piece().rows() - run.piece_row, run.rows_to_do - run.rows_done);
    if (rows_left == 0 || run.cutter.CheckpointDue(shared, rows_left)) {
      LEMAN_RETURN_IF_ERROR(CutCheckpoint(run));
    }
    constexpr int64_t kProgressEveryNs = 50'000'000;
    if (now_ns - run.last_progress_ns > kProgressEveryNs) {
      run.observer.OnProgress(run.rows_done);
      run.last_progress_ns = now_ns;
    }
    if (piece_ends) {
      ++run.piece;
      run.piece_row = 0;
    }
    LEMAN_RETURN_IF_ERROR(RelieveMemory(run));
  }
  return Ok();
}

// Returns the bytes of the results.
int64_t Applier::Ride(TaskRun& run, const SharedArray& batch, int64_t offset, int64_t rows) {
  if (ports_.riders.empty()) return 0;
  RowMask live;
  if (run.order.with_deleted_rows && run.order.filter.empty()) {
    live.assign(static_cast<size_t>(rows), 1);
    KeepLive(*batch->get()->children[read_columns_], offset, live);
  }
  const bool all_live = std::count(live.begin(), live.end(), 0) == 0;
  int64_t bytes = 0;
  for (const auto& rider : ports_.riders) {
    bytes += rider->OnRows(batch, offset, run.RowsAt(rows), all_live ? nullptr : &live, run.times);
  }
  return bytes;
}

int64_t Applier::NextCallRows(TaskRun& run, int64_t batch_rows_left) {
  const int64_t wanted = std::min({batch_rows_left, run.current_piece().rows() - run.piece_row,
                                   run.cutter.NextCallRows(), run.rows_to_do - run.rows_done});
  if (ports_.memory == nullptr) return wanted;
  const int64_t rows = ports_.memory->RowsFor(wanted);
  if (rows < wanted) ++run.times.batches_shrunk;
  return rows;
}

// What is in hand is put away first: the writer's buffers may be what is in the way.
Status Applier::RelieveMemory(TaskRun& run) {
  if (ports_.memory == nullptr || !ports_.memory->Crowded()) return Ok();
  if (run.file != nullptr) LEMAN_RETURN_IF_ERROR(CutCheckpoint(run));
  WaitForWrites();
  if (ports_.memory->Relieve() || run.rows_done == run.rows_to_do) return Ok();
  return MakeError(ErrorKind::kCancelled, "the worker is replaced, since it holds too much memory");
}

Result<OwnedArray> Applier::ComputeRows(TaskRun& run, const SharedArray& batch, int64_t offset, int64_t rows,
                                        int64_t* selected_rows) {
  const bool filtered = !run.order.filter.empty();
  RowMask mask;
  *selected_rows = rows;
  if (filtered || run.order.with_deleted_rows) {
    mask.assign(static_cast<size_t>(rows), 1);
    if (run.order.with_deleted_rows) {
      KeepLive(*batch->get()->children[read_columns_ + (filtered ? 2 : 0)], offset, mask);
    }
    if (filtered) {
      const ArrowArray& selected = *batch->get()->children[read_columns_ + 1];
      for (int64_t i = 0; i < rows; ++i) {
        const int64_t row = offset + i;
        mask[size_t(i)] &= IsValidAt(selected, row) && BitAt(selected.buffers[1], selected.offset + row) ? 1 : 0;
      }
    }
    if (run.order.only_listed_rows) KeepListed(run.order.rows, run.RowsAt(rows).start, mask);
    *selected_rows = std::count(mask.begin(), mask.end(), 1);
  }
  if (filtered && *selected_rows == 0) return SliceColumn(batch, read_columns_, offset, rows);
  if (run.order.task.given_up) {
    if (mask.empty()) mask.assign(static_cast<size_t>(rows), 1);
    return LeaveNull(run, batch, offset, mask);
  }
  run.observer.OnCall(run.RowsAt(rows));
  const int64_t start_ns = ports_.clock.MonotonicNs();
  int64_t failed_row = -1;
  auto computed = ports_.udf.Apply(SliceColumns(batch, 0, input_columns_, offset, rows),
                                   *selected_rows == rows ? nullptr : &mask, &failed_row);
  run.times.udf_ns += ports_.clock.MonotonicNs() - start_ns;
  ++run.times.udf_calls;
  if (!computed.ok()) {
    if (failed_row >= 0) {
      run.failed_at->start += failed_row;
      run.failed_at->end = run.failed_at->start + 1;
    }
    return computed.error();
  }
  run.times.null_inputs += ports_.udf.TakeNullInputs();
  for (SkippedRow& row : ports_.udf.TakeSkipped()) {
    row.fragment_id = run.current_piece().fragment_id;
    row.row += run.current_piece().start + run.piece_row;
    run.skipped.push_back(std::move(row));
  }
  if (!filtered || *selected_rows == rows) return computed;
  return ports_.merger.Merge(mask, std::move(computed).value(), SliceColumn(batch, read_columns_, offset, rows));
}

// The function is not called: its rows are null, for the reason that the order gives.
Result<OwnedArray> Applier::LeaveNull(TaskRun& run, const SharedArray& batch, int64_t offset, const RowMask& mask) {
  const auto rows = static_cast<int64_t>(mask.size());
  const RowMask none(mask.size(), 0);
  int64_t failed_row = -1;
  LEMAN_ASSIGN_OR_RETURN(OwnedArray nulls,
                         ports_.udf.Apply(SliceColumns(batch, 0, input_columns_, offset, rows), &none, &failed_row));
  const RowFailure& failure = *run.order.task.given_up;
  const RowRange at = run.RowsAt(rows);
  for (int64_t i = 0; i < rows; ++i) {
    if (mask[size_t(i)] == 0) continue;
    run.skipped.push_back({at.fragment_id, at.start + i, failure.error_type, failure.message, "", failure.attempts});
  }
  if (run.order.filter.empty()) return nulls;
  return ports_.merger.Merge(mask, std::move(nulls), SliceColumn(batch, read_columns_, offset, rows));
}

std::string Applier::PagesPath(const TaskRun& run) const {
  const std::string pages = PagesFileName(run.current_piece().fragment_id, run.order.fragment_keys[run.piece]);
  return checkpoint_root_ + "/" + ports_.checkpoints.KeyOf(pages);
}

Status Applier::WriteRows(TaskRun& run, OwnedArray values) {
  if (run.file != nullptr && !run.file->Takes(*values.get())) LEMAN_RETURN_IF_ERROR(CutCheckpoint(run));
  const int64_t start_ns = ports_.clock.MonotonicNs();
  if (run.file == nullptr) {
    run.file_key = ports_.checkpoints.TemporaryKey(name_, ++serial_);
    run.file_start = run.piece_row;
    run.file_computed = 0;
    const auto& data_files = run.order.data_files;
    if (run.piece < data_files.size()) ports_.writer.TellDataFile(PagesPath(run), data_files[run.piece]);
    LEMAN_ASSIGN_OR_RETURN(run.file, ports_.writer.Create(checkpoint_root_ + "/" + run.file_key, PagesPath(run)));
  }
  LEMAN_RETURN_IF_ERROR(run.file->Write(std::move(values)));
  run.times.write_ns += ports_.clock.MonotonicNs() - start_ns;
  return Ok();
}

// The task ends with an error; what it computed before is not computed again.
void Applier::KeepComputed(TaskRun& run) {
  if (run.file != nullptr) (void)CutCheckpoint(run);
}

Status Applier::CutCheckpoint(TaskRun& run) {
  // First: once the function's own checkpoint is there, these rows are not read again.
  for (const auto& rider : ports_.riders) rider->Cut();
  const RowRange& piece = run.current_piece();
  CheckpointDone done;
  done.task = run.order.task.id;
  done.attempt = run.order.task.attempt;
  done.range = {piece.fragment_id, piece.start + run.file_start, piece.start + run.piece_row};
  done.rows_computed = run.file_computed;
  done.times = std::exchange(run.times, {});
  done.skipped = std::exchange(run.skipped, {});
  const bool whole = run.IsWholeFragment(done.range);
  FileInHand file{std::move(run.file), run.file_key, PagesPath(run), run.order.fragment_keys[run.piece], whole,
                  std::move(done)};
  run.cutter.OnCheckpoint();
  if (behind_ == nullptr) return Publish(file, run.observer);
  PublishBehind(std::move(file), run.observer);
  return Ok();
}

Status Applier::Publish(FileInHand& file, TaskObserver& observer) {
  const int64_t start_ns = ports_.clock.MonotonicNs();
  CheckpointDone& done = file.done;
  LEMAN_ASSIGN_OR_RETURN(ClosedFile closed, file.file->Close({{"leman.rows", std::to_string(done.range.rows())}}));
  file.file.reset();
  if (!closed.region && !closed.uploaded && !file.whole_fragment) {
    const int64_t file_bytes = closed.size_bytes;
    LEMAN_ASSIGN_OR_RETURN(closed,
                           ports_.writer.Place(checkpoint_root_ + "/" + file.file_key, file.pages_path, closed));
    if (closed.region) done.times.bytes_staged += file_bytes;
  }
  done.size_bytes = closed.size_bytes;
  const std::string& key = file.fragment_key;
  if (closed.region) {
    LEMAN_ASSIGN_OR_RETURN(done.path, ports_.checkpoints.PublishRegion({done.range, key, *closed.region}));
  } else if (closed.uploaded) {
    const PartsName name{done.range, key, closed.uploaded->id, done.size_bytes};
    LEMAN_ASSIGN_OR_RETURN(done.path, ports_.checkpoints.PublishParts(name, closed.uploaded->record));
  } else {
    LEMAN_ASSIGN_OR_RETURN(done.path, ports_.checkpoints.Publish(file.file_key, done.range, key, done.size_bytes));
  }
  done.times.write_ns += ports_.clock.MonotonicNs() - start_ns;
  observer.OnCheckpoint(done);
  return Ok();
}

// Checkpoints after one that failed are published all the same: what was computed is not computed again.
void Applier::PublishBehind(FileInHand file, TaskObserver& observer) {
  const auto kept = std::make_shared<FileInHand>(std::move(file));
  behind_->Post(0, [this, kept, &observer] {
    const Status status = Publish(*kept, observer);
    if (status.ok()) return;
    const std::lock_guard lock(mutex_);
    if (!late_failure_) late_failure_ = LateFailure{status.error(), kept->done.range};
  });
}

void Applier::WaitForWrites() {
  if (behind_ != nullptr) behind_->Wait();
}

// The first failure behind, once.
Status Applier::FailureBehind(RowRange* failed_at) {
  const std::lock_guard lock(mutex_);
  if (!late_failure_) return Ok();
  *failed_at = late_failure_->rows;
  return std::exchange(late_failure_, std::nullopt)->error;
}

}  // namespace leman
