// JobLoop: from the last checkpoint of a fragment to its visibility.
#include <algorithm>
#include <utility>

#include "job/job_loop.h"

namespace leman {
namespace {

std::string UniqueSuffix(uint64_t bits) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (int i = 0; i < 12; ++i, bits >>= 4) text.push_back(kDigits[bits & 0xf]);
  return text;
}

bool IsRefusal(ErrorKind kind) {
  return kind == ErrorKind::kUnsupported || kind == ErrorKind::kInternal || kind == ErrorKind::kInvalidArgument;
}

}  // namespace

void JobLoop::AddPart(FragmentPart part) {
  FragmentEntry& fragment = fragments_.at(part.range.fragment_id);
  fragment.rows_covered += part.range.rows();
  fragment.parts[part.range.start] = std::move(part);
  if (fragment.rows_covered == fragment.plan->fragment.physical_rows && !fragment.assembling) Assemble(fragment);
}

void JobLoop::Assemble(FragmentEntry& fragment) {
  fragment.assembling = true;
  std::vector<FragmentPart> parts;
  for (const auto& [start, part] : fragment.parts) parts.push_back(part);
  ++assemblies_running_;
  assembling_->Post([this, &plan = *fragment.plan, parts = std::move(parts), name = DataFileOf(fragment)]() mutable {
    const int64_t start_ns = ports_.clock.MonotonicNs();
    Result<AssembledFragment> assembled = MakeError(ErrorKind::kCancelled, "the job is ending");
    if (!failed_) assembled = MakeDataFile(plan, parts, name);
    const int64_t elapsed_ns = ports_.clock.MonotonicNs() - start_ns;
    inbox_.Post([this, id = plan.fragment.id, parts = std::move(parts), assembled = std::move(assembled),
                 elapsed_ns]() mutable { OnAssembled(id, std::move(parts), std::move(assembled), elapsed_ns); });
  });
}

const std::string& JobLoop::DataFileOf(FragmentEntry& fragment) {
  if (fragment.file_name.empty()) {
    fragment.file_name = DoneFileName(fragment.plan->record, UniqueSuffix(ports_.runtime.RandomBits()));
  }
  return fragment.file_name;
}

// On a background thread. Parts of which rows had to be taken are new ones afterwards.
Result<AssembledFragment> JobLoop::MakeDataFile(const FragmentPlan& plan, std::vector<FragmentPart>& parts,
                                                const std::string& file_name) {
  LEMAN_RETURN_IF_ERROR(VerifyFound(parts));
  LEMAN_RETURN_IF_ERROR(TakeCarried(parts, plan.fragment_key));
  return ports_.assembler.Assemble(plan.fragment.id, parts, plan.fragment.physical_rows, file_name);
}

Status JobLoop::TakeCarried(std::vector<FragmentPart>& parts, const std::string& fragment_key) {
  const std::string writers = progress_.writers + "-taken-" + std::to_string(parts.front().range.fragment_id);
  for (FragmentPart& part : parts) {
    if (part.taken.empty()) continue;
    if (failed_) return MakeError(ErrorKind::kCancelled, "the job is ending");
    const std::string key = checkpoints_.TemporaryKey(writers, part.range.start);
    LEMAN_ASSIGN_OR_RETURN(const int64_t size_bytes, ports_.assembler.TakeRows(part, key));
    LEMAN_ASSIGN_OR_RETURN(const std::string name, checkpoints_.Publish(key, part.range, fragment_key, size_bytes));
    part = {checkpoints_.KeyOf(name), part.range};
  }
  return Ok();
}

// What lay on a disk since an earlier run may have changed there; what this run wrote is as safe as any other file.
Status JobLoop::VerifyFound(const std::vector<FragmentPart>& parts) {
  for (const FragmentPart& part : parts) {
    if (part.size_bytes > 0) LEMAN_RETURN_IF_ERROR(checkpoints_.Verify(part.key, part.size_bytes));
  }
  return Ok();
}

void JobLoop::OnAssembled(int64_t fragment_id, std::vector<FragmentPart> parts, Result<AssembledFragment> assembled,
                          int64_t elapsed_ns) {
  --assemblies_running_;
  metrics_.assemble_ns += elapsed_ns;
  const auto is_carried = [](const FragmentPart& part) { return !part.taken.empty(); };
  const bool not_all_taken = std::any_of(parts.begin(), parts.end(), is_carried);
  for (FragmentPart& part : parts) {
    FragmentPart& known = fragments_.at(fragment_id).parts.at(part.range.start);
    if (known.key != part.key) known = std::move(part);
  }
  if (!assembled.ok() && not_all_taken && IsRefusal(assembled.error().kind)) {
    // Values that cannot be had from where they are can be computed.
    progress_.carry_refused = true;
    log_.Event("fragment " + std::to_string(fragment_id) + " is computed again: " + assembled.error().message);
    DropUploads(parts);
    PlanAgain({fragment_id});
    return;
  }
  if (!assembled.ok() && CanPlanAgain(fragment_id, assembled.error())) {
    log_.Event("fragment " + std::to_string(fragment_id) + " is planned again: " + assembled.error().message);
    PlanAgain({fragment_id});
    return;
  }
  if (!assembled.ok()) {
    Fail(assembled.error().WithContext("fragment " + std::to_string(fragment_id) + ": data file could not be made"));
    return;
  }
  ++metrics_.fragments_assembled;
  metrics_.bytes_assembled += assembled->update.size_bytes + assembled->bytes_beside;
  metrics_.assembly.Add(assembled->bytes);
  metrics_.fragments_linked += assembled->way == AssemblyWay::kLinked ? 1 : 0;
  metrics_.fragments_placed += assembled->way == AssemblyWay::kPlaced ? 1 : 0;
  metrics_.fragments_stitched += assembled->way == AssemblyWay::kStitched ? 1 : 0;
  metrics_.fragments_reencoded += assembled->way == AssemblyWay::kReencoded ? 1 : 0;
  // An earlier run may have begun the file under a name of its own.
  fragments_.at(fragment_id).file_name = assembled->update.file_name;
  commit_queue_.Add(std::move(assembled->update));
}

// What was uploaded for fragments that are gone can be had by nobody any more.
void JobLoop::DropUploads(const std::vector<FragmentPart>& parts) {
  std::map<std::string, std::pair<int64_t, int64_t>> uploads;  // Of each announcement, its fragment and bytes.
  for (const FragmentPart& part : parts) {
    const size_t at = part.key.rfind('/') + 1;
    const auto name = ParsePartsFileName(part.key.substr(at));
    if (!name || part.taken.empty()) continue;
    auto& upload = uploads[part.key.substr(0, at) + UploadFileName(name->range.fragment_id, name->fragment_key)];
    upload = {name->range.fragment_id, upload.second + name->size_bytes};
  }
  if (uploads.empty()) return;
  const auto fragments = ports_.snapshot.Fragments();
  if (!fragments.ok()) return;
  for (const auto& [announcement, upload] : uploads) {
    const auto& [fragment_id, size_bytes] = upload;
    const bool there = std::any_of(fragments->begin(), fragments->end(),
                                   [id = fragment_id](const FragmentInfo& fragment) { return fragment.id == id; });
    // One that stays costs storage until `leman clean` removes it.
    if (there || !ports_.assembler.DropUpload(announcement).ok()) continue;
    log_.Event("the upload of fragment " + std::to_string(fragment_id) +
               ", which was rewritten, is aborted: " + std::to_string(size_bytes) + " bytes");
  }
}

// Whether the data file has the only copy of what checkpoints hold.
bool JobLoop::HasUploads(const FragmentEntry& fragment) {
  return std::any_of(fragment.parts.begin(), fragment.parts.end(),
                     [](const auto& part) { return part.second.key.ends_with(".parts"); });
}

// Records first: without its pages file a record is nothing.
void JobLoop::DeleteParts(const FragmentEntry& fragment) {
  bool placed = false;
  for (const auto& [start, part] : fragment.parts) {
    placed |= part.key.ends_with(".region");
    (void)ports_.store.Delete(part.key);
  }
  const FragmentPlan& plan = *fragment.plan;
  if (HasUploads(fragment)) {
    (void)ports_.store.Delete(checkpoints_.KeyOf(UploadFileName(plan.fragment.id, plan.fragment_key)));
  }
  if (!placed) return;
  (void)ports_.store.Delete(checkpoints_.KeyOf(PagesFileName(plan.fragment.id, plan.fragment_key)));
}

void JobLoop::CommitIfDue() {
  if (commit_running_) return;
  const bool computed = scheduler_.finished() && assemblies_running_ == 0;
  const bool last = computed && fragments_settled_ + commit_queue_.waiting() == static_cast<int64_t>(fragments_.size());
  if (computed && !last) {
    // Nothing would ever happen again.
    Fail(MakeError(ErrorKind::kInternal, "all tasks are done, but not all rows are checkpointed"));
    return;
  }
  auto group = commit_queue_.TakeGroup(last, ports_.clock.MonotonicNs());
  if (!group) return;
  commit_running_ = true;
  committing_->Post([this, group = std::move(*group)]() mutable {
    const int64_t start_ns = ports_.clock.MonotonicNs();
    const Status held = lease_.Check();
    Result<CommitOutcome> outcome =
        held.ok() ? committer_.Commit(std::move(group), expected_) : Result<CommitOutcome>(held.error());
    if (outcome.ok()) {
      for (const int64_t id : outcome->committed) {
        // Confirmed: the checkpoints have done their duty. A leftover is harmless and removed by `leman clean`.
        DeleteParts(fragments_.at(id));
      }
      if (!outcome->uncertain) {
        for (const int64_t id : outcome->conflicted) {
          if (HasUploads(fragments_.at(id))) continue;
          (void)ports_.store.Delete("data/" + fragments_.at(id).file_name);
        }
      }
    }
    const int64_t elapsed_ns = ports_.clock.MonotonicNs() - start_ns;
    inbox_.Post(
        [this, outcome = std::move(outcome), elapsed_ns]() mutable { OnCommitted(std::move(outcome), elapsed_ns); });
  });
}

void JobLoop::OnCommitted(Result<CommitOutcome> outcome, int64_t elapsed_ns) {
  commit_running_ = false;
  metrics_.commit_ns += elapsed_ns;
  commit_queue_.OnCommitted(ports_.clock.MonotonicNs(), elapsed_ns);
  if (!outcome.ok()) {
    Fail(outcome.error());
    return;
  }
  metrics_.commits += outcome->committed.empty() ? 0 : 1;
  for (const int64_t id : outcome->committed) {
    ++metrics_.fragments_committed;
    metrics_.rows_committed += fragments_.at(id).plan->rows_selected;
  }
  if (outcome->version > 0) {
    progress_.version = outcome->version;
    const bool all = metrics_.fragments_committed == metrics_.fragments_total;
    log_.Event((all ? "commit: " : "partial commit: ") + std::to_string(outcome->committed.size()) +
               " fragment(s), table version " + std::to_string(outcome->version));
  }
  if (!outcome->conflicted.empty()) {
    log_.Event(std::to_string(outcome->conflicted.size()) + " fragment(s) were changed by others; planning them again");
  }
  fragments_settled_ += static_cast<int64_t>(outcome->committed.size());
  PlanAgain(outcome->conflicted);
}

// Whether a fragment whose data file could not be made can be had by computing what is missing.
bool JobLoop::CanPlanAgain(int64_t fragment_id, const Error& error) {
  // Another job on the same column has committed this fragment and removed its checkpoints, or a cleanup has.
  if (error.kind == ErrorKind::kNotFound) return true;
  if (error.kind != ErrorKind::kCorrupt) return false;
  const auto& parts = fragments_.at(fragment_id).parts;
  const auto named = [&error](const auto& part) { return error.message.find(part.second.key) != std::string::npos; };
  const bool any_named = std::any_of(parts.begin(), parts.end(), named);
  bool new_to_us = false;
  for (const auto& part : parts) {
    if (any_named && !named(part)) continue;
    // A second time it is not the disk that forgets, but a defect: then nothing more is thrown away.
    // A checkpoint of rewritten rows may be a part of several fragments.
    if (!progress_.discarded.insert(part.second.key).second && part.second.taken.empty()) continue;
    new_to_us = true;
    (void)ports_.store.Delete(part.second.key);
  }
  return new_to_us;
}

void JobLoop::PlanAgain(const std::vector<int64_t>& fragment_ids) {
  fragments_settled_ += static_cast<int64_t>(fragment_ids.size());
  fragments_again_ += static_cast<int64_t>(fragment_ids.size());
}

}  // namespace leman
