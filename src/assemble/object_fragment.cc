#include "assemble/object_fragment.h"

#include <memory>
#include <optional>
#include <utility>

#include "assemble/assembly_way.h"
#include "assemble/byte_source.h"

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

class ObjectFiles final : public AssemblyFiles {
 public:
  ObjectFiles(const std::vector<CheckpointFile>& checkpoints, std::string output_key, ObjectStore& store,
              PartUploads& uploads, const AssembleOptions& options)
      : checkpoints_(checkpoints),
        output_key_(std::move(output_key)),
        store_(store),
        uploads_(uploads),
        options_(options),
        objects_(checkpoints.size()) {}

  Result<std::unique_ptr<ByteSource>> OpenCheckpoint(size_t index) override {
    CheckpointObject& object = objects_[index];
    if (object.key.empty()) {
      LEMAN_ASSIGN_OR_RETURN(object.info, store_.Head(checkpoints_[index].path));
      object.key = checkpoints_[index].path;
    }
    return std::unique_ptr<ByteSource>(std::make_unique<ObjectSource>(store_, object));
  }

  [[nodiscard]] int requests_at_once() const override { return kRequestsAtOnce; }

  Status CheckCheckpoints() override { return Ok(); }

  // What lies between ranges would go through this process.
  [[nodiscard]] int64_t RangeAlignment(int64_t) const override { return static_cast<int64_t>(kBufferAlignment); }

  Result<std::optional<AssemblyBytes>> TakePlaced(const std::vector<LanceFile>&, const PlanOptions&) override {
    return std::optional<AssemblyBytes>();
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
    ObjectAssemblyOptions object_options;
    object_options.threads = kRequestsAtOnce;
    object_options.cancel = options_.cancel;
    object_options.on_bytes = options_.on_bytes;
    LEMAN_ASSIGN_OR_RETURN(const ObjectAssembly assembly,
                           AssembleToObject(plan, objects_, output_key_, store_, uploads_, object_options));
    AssemblyBytes bytes;
    bytes.copied = plan.size_bytes;
    bytes.streamed = assembly.uploaded_bytes;
    return bytes;
  }

  Status Reencode(Reencoder& reencoder) override { return reencoder.Reencode(checkpoints_, output_key_); }

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
    return std::unique_ptr<AssemblyFiles>(std::move(beside));
  }

 private:
  const std::vector<CheckpointFile>& checkpoints_;
  std::string output_key_;
  ObjectStore& store_;
  PartUploads& uploads_;
  const AssembleOptions& options_;
  std::vector<CheckpointObject> objects_;  ///< Each looked for when it is first opened.
};

}  // namespace

Result<AssembledFile> AssembleFragmentObject(const std::vector<CheckpointFile>& checkpoints, int64_t physical_rows,
                                             const std::string& output_key, ObjectStore& store, PartUploads& uploads,
                                             Reencoder& reencoder, const AssembleOptions& options) {
  ObjectFiles files(checkpoints, output_key, store, uploads, options);
  return MakeDataFile(checkpoints, physical_rows, output_key, files, reencoder, options);
}

}  // namespace leman
