#include "assemble/assembly_plan.h"

#include <algorithm>
#include <limits>
#include <map>
#include <string_view>

#include "assemble/blob_pages.h"
#include "assemble/column_layout.h"

namespace leman {
namespace {

/// Buffers closer than this in the checkpoint are copied as one range, with what lies between them.
constexpr uint64_t kMaxGapBytes = 4096;
/// Far above any real file: below it, sums of positions cannot overflow.
constexpr int64_t kMaxFileBytes = int64_t{1} << 60;

uint64_t AlignUp(uint64_t value, uint64_t alignment) { return (value + alignment - 1) / alignment * alignment; }
uint64_t AlignDown(uint64_t value, uint64_t alignment) { return value / alignment * alignment; }

/// A stretch of a checkpoint that holds page buffers, and how far it moves.
struct Run {
  uint64_t begin = 0;
  uint64_t end = 0;
  uint64_t position = 0;  ///< Of `begin` in the output.
};

std::vector<Run> RunsOf(const LanceFile& file, uint64_t alignment) {
  std::vector<BufferRange> buffers;
  for (const ColumnMetadata& column : file.columns) {
    for (const ColumnPage& page : column.pages) {
      std::copy_if(page.buffers.begin(), page.buffers.end(), std::back_inserter(buffers),
                   [](const BufferRange& buffer) { return buffer.size > 0; });
    }
  }
  std::sort(buffers.begin(), buffers.end(),
            [](const BufferRange& a, const BufferRange& b) { return a.offset < b.offset; });
  std::vector<Run> runs;
  for (const BufferRange& buffer : buffers) {
    const uint64_t end = buffer.offset + buffer.size;
    if (!runs.empty() && buffer.offset <= runs.back().end + kMaxGapBytes) {
      runs.back().end = std::max(runs.back().end, end);
    } else {
      runs.push_back({AlignDown(buffer.offset, alignment), end, 0});
    }
  }
  return runs;
}

/// Where `offset` of the checkpoint lies in the output.
uint64_t Moved(uint64_t offset, uint64_t size, const std::vector<Run>& runs) {
  const auto after = std::upper_bound(runs.begin(), runs.end(), offset,
                                      [](uint64_t value, const Run& run) { return value < run.begin; });
  // An empty buffer need not lie in a run; any aligned place serves it.
  if (after == runs.begin()) return 0;
  const Run& run = *(after - 1);
  return size == 0 && offset > run.end ? run.position : offset - run.begin + run.position;
}

using Metadata = std::map<std::string, std::string>;

/// The part of the schema's metadata that the result keeps.
Metadata KeptMetadata(const SchemaDescriptor& descriptor) {
  Metadata kept;
  for (const auto& [key, value] : descriptor.metadata) {
    if (!key.starts_with(kCheckpointKeyPrefix)) kept[key] = value;
  }
  return kept;
}

Status CheckAlike(const LanceFile& first, const LanceFile& other) {
  if (other.version != first.version) return MakeError(ErrorKind::kUnsupported, "its file version differs");
  const bool same_fields = std::equal(first.descriptor.fields.begin(), first.descriptor.fields.end(),
                                      other.descriptor.fields.begin(), other.descriptor.fields.end(), SameField);
  if (!same_fields || KeptMetadata(first.descriptor) != KeptMetadata(other.descriptor)) {
    return MakeError(ErrorKind::kUnsupported, "its schema differs");
  }
  if (other.columns.size() != first.columns.size()) {
    return MakeError(ErrorKind::kUnsupported, "its number of columns differs");
  }
  for (size_t i = 0; i < first.columns.size(); ++i) {
    if (other.columns[i].encoding != first.columns[i].encoding) {
      return MakeError(ErrorKind::kUnsupported, "the encoding of its column ", i, " differs");
    }
  }
  return Ok();
}

/// Puts checkpoints one after the other.
class PlanBuilder {
 public:
  PlanBuilder(const LanceFile& first, const PlanOptions& options)
      : first_(first),
        options_(options),
        alignment_(static_cast<uint64_t>(options.range_alignment)),
        columns_(first.columns.size()),
        position_(static_cast<uint64_t>(options.first_position)) {
    plan_.version = first.version;
    for (size_t i = 0; i < columns_.size(); ++i) columns_[i].encoding = first.columns[i].encoding;
  }

  Status Add(size_t index, const LanceFile& file) {
    LEMAN_RETURN_IF_ERROR(CheckAlike(first_, file));
    if (file.global_buffers.size() != 1) {
      return MakeError(ErrorKind::kUnsupported, "it has ", file.global_buffers.size() - 1, " extra global buffers");
    }
    LEMAN_ASSIGN_OR_RETURN(const std::vector<ColumnRole> roles, RolesOfColumns(file, options_.blob_values));
    LEMAN_RETURN_IF_ERROR(CheckStructLayers(roles));
    std::vector<Run> runs = RunsOf(file, alignment_);
    for (Run& run : runs) LEMAN_RETURN_IF_ERROR(Place(index, file, run));
    if (!options_.blobs_inside.empty()) AddBlobs(options_.blobs_inside[index], runs);
    for (size_t i = 0; i < columns_.size() && options_.blobs_inside.empty(); ++i) {
      for (const ColumnPage& page : file.columns[i].pages) AddPage(page, roles[i], runs, columns_[i]);
    }
    rows_ += file.descriptor.rows;
    if (rows_ > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      return MakeError(ErrorKind::kCorrupt, "too many rows");
    }
    return Ok();
  }

  AssemblyPlan Finish() && {
    SchemaDescriptor descriptor;
    descriptor.fields = first_.descriptor.fields;
    const Metadata kept = KeptMetadata(first_.descriptor);
    descriptor.metadata.assign(kept.begin(), kept.end());
    descriptor.rows = rows_;
    if (!options_.blobs_inside.empty()) FinishBlobs(descriptor);
    const uint64_t tail_position = AlignUp(position_, kBufferAlignment);
    std::string tail = EncodeLanceTail(plan_.version, tail_position, descriptor, columns_);
    plan_.size_bytes = static_cast<int64_t>(tail_position + tail.size());
    plan_.segments.push_back({static_cast<int64_t>(tail_position), std::move(tail)});
    plan_.rows = static_cast<int64_t>(rows_);
    plan_.columns = static_cast<int64_t>(columns_.size());
    for (const ColumnMetadata& column : columns_) plan_.pages += static_cast<int64_t>(column.pages.size());
    return std::move(plan_);
  }

 private:
  Status CheckStructLayers(const std::vector<ColumnRole>& roles) {
    if (IsUnreadable(roles)) {
      return MakeError(ErrorKind::kUnsupported, "a struct with a list inside is null in some pages only");
    }
    if (first_roles_.empty()) first_roles_ = roles;
    for (size_t i = 0; i < roles.size(); ++i) {
      if (roles[i].struct_layers != first_roles_[i].struct_layers) {
        return MakeError(ErrorKind::kUnsupported, "a struct with a list inside is null in some checkpoints only");
      }
    }
    return Ok();
  }

  /// Gives `run` its place in the output.
  Status Place(size_t index, const LanceFile& file, Run& run) {
    if (file.size_bytes > kMaxFileBytes || position_ > static_cast<uint64_t>(kMaxFileBytes)) {
      return MakeError(ErrorKind::kUnsupported, "the file would be too large");
    }
    const auto length = static_cast<int64_t>(run.end - run.begin);
    if (index < options_.in_place.size() && options_.in_place[index]) {
      run.position = run.begin;
      plan_.placed_bytes += length;
      return Ok();
    }
    run.position = AlignUp(position_, alignment_);
    plan_.segments.push_back(
        {static_cast<int64_t>(run.position), CheckpointRange{index, static_cast<int64_t>(run.begin), length}});
    plan_.copied_bytes += length;
    position_ = run.position + static_cast<uint64_t>(length);
    return Ok();
  }

  void AddPage(const ColumnPage& page, const ColumnRole& role, const std::vector<Run>& runs,
               ColumnMetadata& column) const {
    if (role.struct_header && !column.pages.empty()) {
      column.pages.front().length += page.length;
      return;
    }
    ColumnPage& moved = column.pages.emplace_back(page);
    moved.priority += rows_;
    for (BufferRange& buffer : moved.buffers) buffer.offset = Moved(buffer.offset, buffer.size, runs);
  }

  void AddBlobs(const std::vector<BlobPlace>& places, const std::vector<Run>& runs) {
    for (BlobPlace place : places) {
      if (place.size > 0) place.position = Moved(place.position, place.size, runs);
      blobs_.push_back(place);
    }
  }

  /// The column becomes one of blobs, whose pages say where they lie.
  void FinishBlobs(SchemaDescriptor& descriptor) {
    descriptor.fields = {BlobFieldOf(first_.descriptor.fields.front())};
    position_ = AlignUp(position_, kBufferAlignment);
    BlobColumn made = MakeBlobColumn(plan_.version, blobs_, position_);
    columns_ = {std::move(made.column)};
    const uint64_t size = made.bytes.size();
    plan_.segments.push_back({static_cast<int64_t>(position_), std::move(made.bytes)});
    position_ += size;
  }

  const LanceFile& first_;
  const PlanOptions& options_;
  std::vector<BlobPlace> blobs_;
  uint64_t alignment_;
  AssemblyPlan plan_;
  std::vector<ColumnMetadata> columns_;
  std::vector<ColumnRole> first_roles_;
  uint64_t rows_ = 0;
  uint64_t position_;
};

}  // namespace

Result<AssemblyPlan> PlanAssembly(std::span<const LanceFile> checkpoints, const PlanOptions& options) {
  if (checkpoints.empty()) return MakeError(ErrorKind::kInvalidArgument, "there is no checkpoint to assemble");
  if (options.range_alignment <= 0 || options.range_alignment % static_cast<int64_t>(kBufferAlignment) != 0) {
    return MakeError(ErrorKind::kInvalidArgument, "range_alignment must be a multiple of 64, not ",
                     options.range_alignment);
  }
  PlanBuilder builder(checkpoints.front(), options);
  for (size_t i = 0; i < checkpoints.size(); ++i) {
    if (Status added = builder.Add(i, checkpoints[i]); !added.ok()) {
      return added.error().WithContext("checkpoint " + std::to_string(i));
    }
  }
  return std::move(builder).Finish();
}

AssemblyPlan PlanWholeCopy(const LanceFile& file) {
  AssemblyPlan plan;
  plan.segments.push_back({0, CheckpointRange{0, 0, file.size_bytes}});
  plan.version = file.version;
  plan.rows = static_cast<int64_t>(file.descriptor.rows);
  for (const ColumnMetadata& column : file.columns) plan.pages += static_cast<int64_t>(column.pages.size());
  plan.columns = static_cast<int64_t>(file.columns.size());
  plan.size_bytes = file.size_bytes;
  plan.copied_bytes = file.size_bytes;
  return plan;
}

int64_t PageBytes(const LanceFile& file) {
  int64_t bytes = 0;
  for (const ColumnMetadata& column : file.columns) {
    for (const ColumnPage& page : column.pages) {
      for (const BufferRange& buffer : page.buffers) bytes += static_cast<int64_t>(buffer.size);
    }
  }
  return bytes;
}

bool WorthCoalescing(size_t checkpoints, int64_t page_bytes, int64_t rows, int64_t columns,
                     int64_t coalesce_below_bytes) {
  // Values this large are read one by one anyway: a reader does not notice where a page ends.
  constexpr int64_t kLargeValueBytes = 32 << 10;
  if (checkpoints < 2 || rows <= 0 || columns <= 0) return false;
  if (page_bytes / rows / columns >= kLargeValueBytes) return false;
  return page_bytes / static_cast<int64_t>(checkpoints) < coalesce_below_bytes;
}

}  // namespace leman
