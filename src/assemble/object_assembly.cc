#include "assemble/object_assembly.h"

#include <mutex>
#include <optional>
#include <utility>

#include "assemble/parallel_pieces.h"
#include "assemble/part_plan.h"

namespace leman {
namespace {

/// One upload, of which each thread makes parts.
class Upload {
 public:
  Upload(const std::vector<ObjectPart>& parts, const std::vector<CheckpointObject>& checkpoints,
         const std::string& output_key, ObjectStore& store, PartUploads& uploads, const ObjectAssemblyOptions& options)
      : parts_(parts),
        checkpoints_(checkpoints),
        output_key_(output_key),
        store_(store),
        uploads_(uploads),
        options_(options),
        tags_(parts.size()) {}

  Result<std::string> Content(const ObjectPart& part) {
    std::string bytes;
    bytes.reserve(static_cast<size_t>(part.size_bytes));
    for (const auto& piece : part.pieces) {
      if (const auto* literal = std::get_if<std::string>(&piece)) {
        bytes += *literal;
        continue;
      }
      const auto& range = std::get<CheckpointRange>(piece);
      LEMAN_ASSIGN_OR_RETURN(const std::string read,
                             store_.GetRange(checkpoints_[range.checkpoint].key, range.offset, range.length));
      if (static_cast<int64_t>(read.size()) != range.length) {
        return MakeError(ErrorKind::kCorrupt, checkpoints_[range.checkpoint].key, " became shorter");
      }
      bytes += read;
    }
    return bytes;
  }

  Status Run(int64_t size_bytes) {
    LEMAN_ASSIGN_OR_RETURN(id_, uploads_.Create(output_key_));
    std::vector<int64_t> sizes;
    for (const ObjectPart& part : parts_) sizes.push_back(part.size_bytes);
    Status made = uploads_.Expect(output_key_, id_, sizes);
    if (made.ok()) {
      made = ForEachPiece(parts_.size(), uploads_.any_order() ? options_.threads : 1,
                          [this]() -> PieceWorker { return [this](size_t part) { return Make(part); }; });
    }
    if (made.ok()) made = Complete(size_bytes);
    if (!made.ok()) (void)uploads_.Abort(output_key_, id_);
    return made;
  }

  /// The parts come behind those of an upload that others began.
  Status Run(const BegunUpload& begun, int64_t size_bytes) {
    id_ = begun.id;
    before_ = begun.parts;
    LEMAN_RETURN_IF_ERROR(ForEachPiece(parts_.size(), uploads_.any_order() ? options_.threads : 1,
                                       [this]() -> PieceWorker { return [this](size_t part) { return Make(part); }; }));
    return Complete(size_bytes);
  }

  Status Progress(int64_t bytes) {
    if (options_.cancel != nullptr && *options_.cancel) {
      return MakeError(ErrorKind::kCancelled, "assembly was cancelled");
    }
    const std::lock_guard lock(progress_mutex_);
    if (options_.on_bytes && bytes > 0) options_.on_bytes(bytes);
    return Ok();
  }

 private:
  Status Make(size_t index) {
    LEMAN_RETURN_IF_ERROR(Progress(0));
    const ObjectPart& part = parts_[index];
    const int64_t number = NumberOf(index);
    if (part.copied) {
      const auto& range = std::get<CheckpointRange>(part.pieces.front());
      const CheckpointObject& from = checkpoints_[range.checkpoint];
      LEMAN_ASSIGN_OR_RETURN(tags_[index], uploads_.CopyRange(output_key_, id_, number, from.key, from.info.etag,
                                                              range.offset, range.length));
    } else {
      LEMAN_ASSIGN_OR_RETURN(const std::string bytes, Content(part));
      LEMAN_ASSIGN_OR_RETURN(tags_[index], uploads_.Upload(output_key_, id_, number, bytes));
    }
    return Progress(part.size_bytes);
  }

  [[nodiscard]] int64_t NumberOf(size_t index) const {
    return (before_.empty() ? 0 : before_.back().number) + static_cast<int64_t>(index) + 1;
  }

  Status CompleteParts() {
    if (before_.empty()) return uploads_.Complete(output_key_, id_, tags_);
    std::vector<UploadedPart> all = before_;
    for (size_t i = 0; i < tags_.size(); ++i) all.push_back({NumberOf(i), parts_[i].size_bytes, tags_[i]});
    return uploads_.CompleteOf(output_key_, id_, all);
  }

  Status Complete(int64_t size_bytes) {
    Status done = CompleteParts();
    if (done.ok()) return done;
    // The answer may be lost of what was done: the name is this assembly's own, so its object says so.
    const Result<ObjectInfo> found = store_.Head(output_key_);
    if (found.ok() && found->size_bytes == size_bytes) return Ok();
    return done;
  }

  const std::vector<ObjectPart>& parts_;
  const std::vector<CheckpointObject>& checkpoints_;
  const std::string& output_key_;
  ObjectStore& store_;
  PartUploads& uploads_;
  const ObjectAssemblyOptions& options_;
  std::string id_;
  std::vector<UploadedPart> before_;
  std::vector<std::string> tags_;
  std::mutex progress_mutex_;
};

Result<ObjectAssembly> Assemble(const AssemblyPlan& plan, const std::vector<CheckpointObject>& checkpoints,
                                const std::string& output_key, ObjectStore& store, PartUploads& uploads,
                                bool copy_ranges, const ObjectAssemblyOptions& options,
                                const BegunUpload* begun = nullptr, int64_t size_bytes = 0) {
  std::vector<int64_t> sizes;
  sizes.reserve(checkpoints.size());
  for (const CheckpointObject& checkpoint : checkpoints) sizes.push_back(checkpoint.info.size_bytes);
  PartLimits limits = options.limits;
  if (begun != nullptr) limits.max_parts -= begun->parts.back().number;
  LEMAN_ASSIGN_OR_RETURN(const std::vector<ObjectPart> parts, PlanParts(plan, sizes, copy_ranges, limits));
  ObjectAssembly assembly;
  for (const ObjectPart& part : parts) {
    (part.copied ? assembly.copied_inside_bytes : assembly.uploaded_bytes) += part.size_bytes;
  }
  Upload upload(parts, checkpoints, output_key, store, uploads, options);
  if (begun != nullptr) {
    LEMAN_RETURN_IF_ERROR(upload.Run(*begun, size_bytes));
    return assembly;
  }
  if (parts.size() == 1 && !parts.front().copied) {
    LEMAN_ASSIGN_OR_RETURN(const std::string bytes, upload.Content(parts.front()));
    LEMAN_RETURN_IF_ERROR(store.Put(output_key, bytes));
    LEMAN_RETURN_IF_ERROR(upload.Progress(plan.size_bytes));
    return assembly;
  }
  LEMAN_RETURN_IF_ERROR(upload.Run(plan.size_bytes));
  return assembly;
}

}  // namespace

Result<ObjectAssembly> CompleteUpload(const BegunUpload& begun, const AssemblyPlan& rest, int64_t size_bytes,
                                      const std::vector<CheckpointObject>& checkpoints, const std::string& output_key,
                                      ObjectStore& store, PartUploads& uploads, const ObjectAssemblyOptions& options) {
  if (begun.parts.empty())
    return MakeError(ErrorKind::kInternal, "an upload of ", output_key, " was begun without parts");
  return Assemble(rest, checkpoints, output_key, store, uploads, uploads.copies_ranges(), options, &begun, size_bytes);
}

Result<ObjectAssembly> AssembleToObject(const AssemblyPlan& plan, const std::vector<CheckpointObject>& checkpoints,
                                        const std::string& output_key, ObjectStore& store, PartUploads& uploads,
                                        const ObjectAssemblyOptions& options) {
  const bool copy_ranges = uploads.copies_ranges();
  Result<ObjectAssembly> made = Assemble(plan, checkpoints, output_key, store, uploads, copy_ranges, options);
  if (made.ok() || !copy_ranges || made.error().kind != ErrorKind::kUnsupported) return made;
  return Assemble(plan, checkpoints, output_key, store, uploads, false, options);
}

}  // namespace leman
