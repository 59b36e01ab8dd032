#include "apply/rider.h"

#include <utility>

namespace leman {

Rider::Rider(RiderPorts ports, Columns columns, CheckpointStore checkpoints,
             std::map<int64_t, std::string> fragment_keys, std::string name, std::string checkpoint_root)
    : ports_(ports),
      columns_(columns),
      checkpoints_(std::move(checkpoints)),
      fragment_keys_(std::move(fragment_keys)),
      name_(std::move(name)),
      checkpoint_root_(std::move(checkpoint_root)) {}

void Rider::Begin(bool rides) { rides_ = rides; }

int64_t Rider::OnRows(const SharedArray& batch, int64_t offset, const RowRange& at, const RowMask* live,
                      WorkTimes& times) {
  if (!rides_ || !fragment_keys_.contains(at.fragment_id)) return 0;
  const Result<int64_t> bytes = Compute(batch, offset, at, live, times);
  if (bytes.ok()) return *bytes;
  LetGo();
  return 0;
}

Result<int64_t> Rider::Compute(const SharedArray& batch, int64_t offset, const RowRange& at, const RowMask* live,
                               WorkTimes& times) {
  const int64_t start_ns = ports_.clock.MonotonicNs();
  int64_t failed_row = -1;
  LEMAN_ASSIGN_OR_RETURN(
      OwnedArray values,
      ports_.udf.Apply(SliceColumns(batch, columns_.first, columns_.last, offset, at.rows()), live, &failed_row));
  const int64_t called_ns = ports_.clock.MonotonicNs();
  times.udf_ns += called_ns - start_ns;
  ++times.udf_calls;
  const int64_t bytes = ArrayBytes(ports_.output_type, *values.get());
  if (file_ != nullptr && !file_->Takes(*values.get())) LEMAN_RETURN_IF_ERROR(Publish());
  if (file_ == nullptr) {
    file_key_ = checkpoints_.TemporaryKey(name_, ++serial_);
    written_ = {at.fragment_id, at.start, at.start};
    const std::string pages = PagesFileName(at.fragment_id, fragment_keys_.at(at.fragment_id));
    LEMAN_ASSIGN_OR_RETURN(file_, ports_.writer.Create(checkpoint_root_ + "/" + file_key_,
                                                       checkpoint_root_ + "/" + checkpoints_.KeyOf(pages)));
  }
  LEMAN_RETURN_IF_ERROR(file_->Write(std::move(values)));
  written_.end = at.end;
  times.write_ns += ports_.clock.MonotonicNs() - called_ns;
  return bytes;
}

void Rider::Cut() {
  if (file_ == nullptr) return;
  if (!Publish().ok()) LetGo();
}

Status Rider::Publish() {
  LEMAN_ASSIGN_OR_RETURN(const ClosedFile closed, file_->Close({{"leman.rows", std::to_string(written_.rows())}}));
  file_.reset();
  const std::string& key = fragment_keys_.at(written_.fragment_id);
  if (closed.region) {
    LEMAN_ASSIGN_OR_RETURN(const std::string name, checkpoints_.PublishRegion({written_, key, *closed.region}));
    return Ok();
  }
  LEMAN_ASSIGN_OR_RETURN(const std::string name, checkpoints_.Publish(file_key_, written_, key, closed.size_bytes));
  return Ok();
}

void Rider::LetGo() {
  rides_ = false;
  file_.reset();
  (void)checkpoints_.RemoveTemporaries(name_ + "-");
}

void Rider::End() {
  if (file_ != nullptr) LetGo();
}

}  // namespace leman
