#include "assemble/object_fragment.h"

#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "assemble/assembly_way.h"
#include "assemble/byte_source.h"
#include "assemble/uploaded_pages.h"
#include "model/checkpoint_key.h"

namespace leman {
namespace {

constexpr int kRequestsAtOnce = 8;
/// S3 copies no larger object in one request.
constexpr int64_t kMaxCopiedObjectBytes = int64_t{5} << 30;

class ObjectSource final : public ByteSource {
 public:
  ObjectSource(ObjectStore& store, CheckpointObject object) : store_(store), object_(std::move(object)) {}
  [[nodiscard]] int64_t size_bytes() const override { return object_.info.size_bytes; }
  Result<std::string> Read(int64_t offset, int64_t length) override {
    if (offset < 0 || length < 0 || length > size_bytes() || offset > size_bytes() - length) {
      return MakeError(ErrorKind::kCorrupt, object_.key, ": no ", length, " bytes at ", offset);
    }
    LEMAN_ASSIGN_OR_RETURN(std::string bytes, store_.GetRange(object_.key, offset, length));
    if (static_cast<int64_t>(bytes.size()) != length) {
      return MakeError(ErrorKind::kCorrupt, object_.key, ": no ", length, " bytes at ", offset);
    }
    return bytes;
  }

 private:
  ObjectStore& store_;
  CheckpointObject object_;
};

Result<PartsRecord> ReadRecord(const std::string& key, ObjectStore& store) {
  LEMAN_ASSIGN_OR_RETURN(const std::string bytes, store.Get(key));
  Result<PartsRecord> record = ParsePartsRecord(bytes);
  if (!record.ok()) return record.error().WithContext(key);
  return record;
}

class ObjectFiles final : public AssemblyFiles {
 public:
  ObjectFiles(const std::vector<CheckpointFile>& checkpoints, std::string output_key, ObjectStore& store,
              PartUploads& uploads, const AssembleOptions& options)
      : checkpoints_(checkpoints),
        output_key_(std::move(output_key)),
        store_(store),
        uploads_(uploads),
        options_(options),
        objects_(checkpoints.size()),
        records_(checkpoints.size()) {
    for (const CheckpointFile& checkpoint : checkpoints) only_placed_ |= IsPartsRecord(checkpoint.path);
  }

  Result<std::unique_ptr<ByteSource>> OpenCheckpoint(size_t index) override {
    if (IsPartsRecord(checkpoints_[index].path)) {
      std::optional<PartsRecord>& record = records_[index];
      if (!record) {
        LEMAN_ASSIGN_OR_RETURN(record, ReadRecord(checkpoints_[index].path, store_));
      }
      return OpenPartsRecord(*record);
    }
    CheckpointObject& object = objects_[index];
    if (object.key.empty()) {
      LEMAN_ASSIGN_OR_RETURN(object.info, store_.Head(checkpoints_[index].path));
      object.key = checkpoints_[index].path;
    }
    return std::unique_ptr<ByteSource>(std::make_unique<ObjectSource>(store_, object));
  }

  [[nodiscard]] int requests_at_once() const override { return kRequestsAtOnce; }

  /// Whether the parts are there, in the upload or, if an earlier run completed it, in the output.
  Status CheckCheckpoints() override {
    if (!only_placed_) return Ok();
    LEMAN_RETURN_IF_ERROR(CheckOneUpload());
    std::vector<std::string> paths;
    for (const CheckpointFile& checkpoint : checkpoints_) paths.push_back(checkpoint.path);
    const std::string data_file = output_key_.substr(output_key_.rfind('/') + 1);
    LEMAN_ASSIGN_OR_RETURN(uploaded_, UploadedPages::Of(paths, records_, data_file));
    const auto stored = uploads_.PartsOf(output_key_, uploaded_.upload_id());
    if (stored.ok()) return uploaded_.Check(*stored);
    if (stored.error().kind != ErrorKind::kNotFound) return stored.error();
    const Result<ObjectInfo> output = store_.Head(output_key_);
    if (output.ok()) {
      completed_bytes_ = output->size_bytes;
      return Ok();
    }
    return output.error().kind == ErrorKind::kNotFound ? uploaded_.Lost("the upload of " + output_key_ + " is gone")
                                                       : output.error();
  }

  [[nodiscard]] bool only_placed() const override { return only_placed_; }

  // What lies between ranges would go through this process.
  [[nodiscard]] int64_t RangeAlignment(int64_t) const override { return static_cast<int64_t>(kBufferAlignment); }

  /// The upload, completed with the pages of checkpoints that are objects of their own, and the tail.
  Result<std::optional<AssemblyBytes>> TakePlaced(const std::vector<LanceFile>& files,
                                                  const PlanOptions& options) override {
    if (!only_placed_) return std::optional<AssemblyBytes>();
    PlanOptions plan_options = options;
    std::vector<LanceFile> moved;
    for (size_t i = 0; i < files.size(); ++i) {
      plan_options.in_place.push_back(records_[i].has_value());
      Result<LanceFile> file = records_[i] ? uploaded_.Moved(i, files[i]) : Result<LanceFile>(files[i]);
      if (!file.ok()) return file.error().WithContext(checkpoints_[i].path);
      moved.push_back(std::move(file).value());
    }
    plan_options.first_position = uploaded_.size_bytes();
    LEMAN_ASSIGN_OR_RETURN(const AssemblyPlan plan, PlanAssembly(moved, plan_options));
    AssemblyBytes bytes;
    if (completed_bytes_) {
      LEMAN_RETURN_IF_ERROR(CheckCompleted(plan));
    } else {
      LEMAN_ASSIGN_OR_RETURN(bytes.streamed, Complete(plan));
    }
    bytes.copied = plan.copied_bytes;
    bytes.placed = plan.size_bytes - plan.copied_bytes;
    return std::optional(bytes);
  }

  Result<AssemblyBytes> TakeWhole(const AssemblyPlan& plan) override {
    if (plan.size_bytes > kMaxCopiedObjectBytes) {
      return MakeError(ErrorKind::kUnsupported, "the store copies no object this large at once");
    }
    LEMAN_RETURN_IF_ERROR(store_.Copy(checkpoints_.front().path, output_key_));
    AssemblyBytes bytes;
    bytes.copied = plan.size_bytes;
    return bytes;
  }

  Result<AssemblyBytes> Stitch(const AssemblyPlan& plan) override {
    LEMAN_ASSIGN_OR_RETURN(const ObjectAssembly assembly,
                           AssembleToObject(plan, objects_, output_key_, store_, uploads_, ObjectOptions()));
    AssemblyBytes bytes;
    bytes.copied = plan.size_bytes;
    bytes.streamed = assembly.uploaded_bytes;
    return bytes;
  }

  Status Reencode(Reencoder& reencoder) override {
    if (only_placed_) return MakeError(ErrorKind::kInternal, "pages that are parts of an upload cannot be read yet");
    return reencoder.Reencode(checkpoints_, output_key_);
  }

  Result<std::unique_ptr<ByteSource>> OpenOutput() override {
    CheckpointObject output{output_key_, {}};
    LEMAN_ASSIGN_OR_RETURN(output.info, store_.Head(output_key_));
    return std::unique_ptr<ByteSource>(std::make_unique<ObjectSource>(store_, std::move(output)));
  }

  void RemoveOutput(const Error& cause) override {
    // Where the store did not answer, the file may be good; it is not offered, and `leman clean` removes it.
    if (cause.kind != ErrorKind::kRetryable) (void)store_.Delete(output_key_);
  }

  Result<std::unique_ptr<AssemblyFiles>> Beside(const std::string& path) override {
    auto beside = std::make_unique<ObjectFiles>(checkpoints_, path, store_, uploads_, options_);
    beside->objects_ = objects_;
    beside->records_ = records_;
    return std::unique_ptr<AssemblyFiles>(std::move(beside));
  }

 private:
  [[nodiscard]] ObjectAssemblyOptions ObjectOptions() const {
    ObjectAssemblyOptions object_options;
    object_options.threads = kRequestsAtOnce;
    object_options.cancel = options_.cancel;
    object_options.on_bytes = options_.on_bytes;
    return object_options;
  }

  /// Where an upload went away, another was announced: kCorrupt, naming the records of all but that one.
  Status CheckOneUpload() {
    std::string announced;
    std::string others;
    std::set<std::string> ids;
    for (const auto& record : records_) {
      if (record) ids.insert(record->upload_id);
    }
    if (ids.size() < 2) return Ok();
    for (size_t i = 0; i < records_.size(); ++i) {
      if (!records_[i]) continue;
      const std::string& path = checkpoints_[i].path;
      if (announced.empty()) {
        LEMAN_ASSIGN_OR_RETURN(announced, AnnouncedBeside(path));
      }
      if (records_[i]->upload_id != announced) others += (others.empty() ? "" : ", ") + path;
    }
    return MakeError(ErrorKind::kCorrupt, "their upload is gone, so these checkpoints are lost: ", others);
  }

  /// The id of the upload that is announced for the fragment of a record; "none" without one.
  Result<std::string> AnnouncedBeside(const std::string& path) {
    const size_t at = path.rfind('/') + 1;
    const auto name = ParsePartsFileName(path.substr(at));
    if (!name) return MakeError(ErrorKind::kInternal, path, " is no record");
    const Result<std::string> bytes =
        store_.Get(path.substr(0, at) + UploadFileName(name->range.fragment_id, name->fragment_key));
    if (!bytes.ok() && bytes.error().kind != ErrorKind::kNotFound) return bytes.error();
    const auto announcement = bytes.ok() ? ParseUploadAnnouncement(*bytes) : Result<UploadAnnouncement>(bytes.error());
    return announcement.ok() ? announcement->upload_id : std::string("none");
  }

  /// The bytes that went through this process.
  Result<int64_t> Complete(const AssemblyPlan& plan) {
    AssemblyPlan rest = plan;
    for (Segment& segment : rest.segments) segment.position -= uploaded_.size_bytes();
    rest.size_bytes -= uploaded_.size_bytes();
    const BegunUpload begun{uploaded_.upload_id(), uploaded_.parts()};
    LEMAN_ASSIGN_OR_RETURN(const ObjectAssembly made, CompleteUpload(begun, rest, plan.size_bytes, objects_,
                                                                     output_key_, store_, uploads_, ObjectOptions()));
    return made.uploaded_bytes;
  }

  /// Whether the output is what completing the upload would make.
  Status CheckCompleted(const AssemblyPlan& plan) {
    const Segment& last = plan.segments.back();
    const auto& tail = std::get<std::string>(last.content);
    bool same = *completed_bytes_ == plan.size_bytes;
    if (same) {
      LEMAN_ASSIGN_OR_RETURN(const std::string found,
                             store_.GetRange(output_key_, last.position, static_cast<int64_t>(tail.size())));
      same = found == tail;
    }
    return same ? Ok() : Status(uploaded_.Lost(output_key_ + " was completed without some of them"));
  }

  const std::vector<CheckpointFile>& checkpoints_;
  std::string output_key_;
  ObjectStore& store_;
  PartUploads& uploads_;
  const AssembleOptions& options_;
  std::vector<CheckpointObject> objects_;  ///< Each looked for when it is first opened, as are the records.
  std::vector<std::optional<PartsRecord>> records_;
  bool only_placed_ = false;  ///< There are records.
  UploadedPages uploaded_;
  std::optional<int64_t> completed_bytes_;  ///< Of the output, where an earlier run completed the upload.
};

}  // namespace

Result<std::string> DataFileOfUpload(const std::vector<CheckpointFile>& checkpoints, const std::string& file_name,
                                     ObjectStore& store) {
  for (const CheckpointFile& checkpoint : checkpoints) {
    if (!IsPartsRecord(checkpoint.path)) continue;
    LEMAN_ASSIGN_OR_RETURN(const PartsRecord record, ReadRecord(checkpoint.path, store));
    const auto begun = ParseDoneFileName(record.data_file);
    const auto wanted = ParseDoneFileName(file_name);
    const bool same = begun && wanted && begun->scope == wanted->scope && begun->computation == wanted->computation &&
                      begun->where == wanted->where;
    return same ? record.data_file : file_name;
  }
  return file_name;
}

Status DropUpload(const std::string& announcement_key, ObjectStore& store, PartUploads& uploads) {
  const Result<std::string> bytes = store.Get(announcement_key);
  if (!bytes.ok()) return bytes.error().kind == ErrorKind::kNotFound ? Ok() : Status(bytes.error());
  LEMAN_ASSIGN_OR_RETURN(const UploadAnnouncement announcement, ParseUploadAnnouncement(*bytes));
  LEMAN_RETURN_IF_ERROR(uploads.Abort("data/" + announcement.data_file, announcement.upload_id));
  return store.Delete(announcement_key);
}

Result<AssembledFile> AssembleFragmentObject(const std::vector<CheckpointFile>& checkpoints, int64_t physical_rows,
                                             const std::string& output_key, ObjectStore& store, PartUploads& uploads,
                                             Reencoder& reencoder, const AssembleOptions& options) {
  ObjectFiles files(checkpoints, output_key, store, uploads, options);
  return MakeDataFile(checkpoints, physical_rows, output_key, files, reencoder, options);
}

}  // namespace leman
