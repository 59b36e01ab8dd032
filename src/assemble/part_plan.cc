#include "assemble/part_plan.h"

#include <algorithm>
#include <utility>

namespace leman {
namespace {

using Piece = std::variant<CheckpointRange, std::string>;

/// Parts that go through this process are put together up to this size where nothing is copied.
constexpr int64_t kStreamedPartBytes = 16 << 20;

int64_t LengthOf(const Piece& piece) {
  const auto* range = std::get_if<CheckpointRange>(&piece);
  return range != nullptr ? range->length : static_cast<int64_t>(std::get<std::string>(piece).size());
}

int64_t RoundUp(int64_t value, int64_t by) { return (value + by - 1) / by; }

/// All bytes of the file, without gaps.
Result<std::vector<Piece>> PiecesWithoutGaps(const AssemblyPlan& plan, std::span<const int64_t> checkpoint_sizes) {
  std::vector<Piece> pieces;
  int64_t end = 0;
  for (const Segment& segment : plan.segments) {
    const auto* range = std::get_if<CheckpointRange>(&segment.content);
    if (segment.position < end || (range != nullptr && range->checkpoint >= checkpoint_sizes.size())) {
      return MakeError(ErrorKind::kInternal, "the plan's segment at ", segment.position, " does not fit");
    }
    if (const int64_t gap = segment.position - end; gap > 0) {
      auto* before = pieces.empty() ? nullptr : std::get_if<CheckpointRange>(&pieces.back());
      if (before != nullptr && before->offset + before->length + gap <= checkpoint_sizes[before->checkpoint]) {
        before->length += gap;
      } else {
        pieces.emplace_back(std::string(static_cast<size_t>(gap), '\0'));
      }
    }
    pieces.push_back(segment.content);
    end = segment.position + LengthOf(segment.content);
  }
  if (end != plan.size_bytes) return MakeError(ErrorKind::kInternal, "the plan ends at ", end, ", not its size");
  return pieces;
}

class PartBuilder {
 public:
  PartBuilder(int64_t size_bytes, bool copy_ranges, const PartLimits& limits) : copy_ranges_(copy_ranges) {
    // Half of the parts for what is copied, half for what is uploaded.
    const int64_t share_bytes = RoundUp(size_bytes, limits.max_parts / 2);
    upload_bytes_ = std::max({limits.min_part_bytes, share_bytes, copy_ranges ? 0 : kStreamedPartBytes});
    copy_bytes_ = std::max(limits.max_copied_part_bytes, 2 * upload_bytes_);
  }

  void Add(Piece piece) {
    auto* range = std::get_if<CheckpointRange>(&piece);
    if (range == nullptr) {
      Pend(std::move(piece));
      return;
    }
    while (range->length > 0) {
      if (pending_.pieces.empty() && copy_ranges_ && range->length >= upload_bytes_) {
        Copy(*range);
        return;
      }
      const int64_t taken = std::min(range->length, upload_bytes_ - pending_.size_bytes);
      Pend(CheckpointRange{range->checkpoint, range->offset, taken});
      range->offset += taken;
      range->length -= taken;
    }
  }

  std::vector<ObjectPart> Finish() && {
    if (!pending_.pieces.empty()) Emit();
    return std::move(parts_);
  }

 private:
  void Pend(Piece piece) {
    pending_.size_bytes += LengthOf(piece);
    pending_.pieces.push_back(std::move(piece));
    if (pending_.size_bytes >= upload_bytes_) Emit();
  }

  void Emit() { parts_.push_back(std::exchange(pending_, {})); }

  /// Parts of nearly one size, none of them too small.
  void Copy(const CheckpointRange& range) {
    const int64_t count = RoundUp(range.length, copy_bytes_);
    int64_t done = 0;
    for (int64_t i = 1; i <= count; ++i) {
      const int64_t end = i == count ? range.length : range.length / count * i;
      parts_.push_back({{CheckpointRange{range.checkpoint, range.offset + done, end - done}}, end - done, true});
      done = end;
    }
  }

  bool copy_ranges_;
  int64_t upload_bytes_ = 0;
  int64_t copy_bytes_ = 0;
  ObjectPart pending_;
  std::vector<ObjectPart> parts_;
};

}  // namespace

Result<std::vector<ObjectPart>> PlanParts(const AssemblyPlan& plan, std::span<const int64_t> checkpoint_sizes,
                                          bool copy_ranges, const PartLimits& limits) {
  if (plan.size_bytes > limits.max_object_bytes) {
    return MakeError(ErrorKind::kInvalidArgument, "the fragment's data file would have ", plan.size_bytes,
                     " bytes, and an object of the store at most ", limits.max_object_bytes,
                     "; load the table in more fragments");
  }
  LEMAN_ASSIGN_OR_RETURN(std::vector<Piece> pieces, PiecesWithoutGaps(plan, checkpoint_sizes));
  PartBuilder builder(plan.size_bytes, copy_ranges, limits);
  for (Piece& piece : pieces) builder.Add(std::move(piece));
  return std::move(builder).Finish();
}

}  // namespace leman
