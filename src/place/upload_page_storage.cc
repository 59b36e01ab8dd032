#include "place/upload_page_storage.h"

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "model/upload_parts.h"

namespace leman {
namespace {

constexpr int64_t kNumbersAtOnce = 16;
constexpr int kMostClaims = 100;
constexpr size_t kGrid = 64;

std::string RandomDigits() {
  std::random_device random;
  constexpr std::string_view kDigits = "0123456789abcdef";
  constexpr size_t kCount = 16;
  uint64_t bits = (uint64_t{random()} << 32) | random();
  std::string text;
  for (size_t i = 0; i < kCount; ++i, bits >>= 4) text.push_back(kDigits[bits & 0xf]);
  return text;
}

/// The upload of one fragment, with the part numbers that this writer took and has not used.
struct Claimed {
  std::string data_file;
  std::string upload_id;
  int64_t next = 0;
  int64_t end = 0;
};

/// One part of an upload.
struct ClaimedPart {
  std::string data_file;
  std::string upload_id;
  int64_t number = 0;
};

/// Takes part numbers of announced uploads, and announces those that there are not. Thread-safe.
class UploadClaims {
 public:
  UploadClaims(ObjectStore& store, PartUploadsMaker make_uploads)
      : store_(store), make_uploads_(std::move(make_uploads)) {}

  PartUploads& uploads() {
    const std::lock_guard lock(making_);
    if (uploads_ == nullptr) uploads_ = make_uploads_();
    return *uploads_;
  }
  void Tell(const std::string& key, const std::string& data_file) {
    const std::lock_guard lock(mutex_);
    data_files_[key] = data_file;
  }

  /// Whether `key` is announced, or can be, with numbers left: kUnsupported if not.
  Status Prepare(const std::string& key) {
    const std::lock_guard lock(mutex_);
    return TakeNumbers(key);
  }
  /// The next part, of which Prepare says whether there is one.
  Result<ClaimedPart> Next(const std::string& key) {
    const std::lock_guard lock(mutex_);
    LEMAN_RETURN_IF_ERROR(TakeNumbers(key));
    Claimed& claimed = claimed_[key];
    return ClaimedPart{claimed.data_file, claimed.upload_id, claimed.next++};
  }
  void Forget(const std::string& key) {
    const std::lock_guard lock(mutex_);
    claimed_.erase(key);
  }
  /// The upload is gone: another one is to be announced.
  void OnGone(const std::string& key, const std::string& upload_id) {
    const std::lock_guard lock(mutex_);
    if (claimed_[key].upload_id == upload_id) claimed_.erase(key);
    const Result<std::string> found = store_.Get(key);
    if (!found.ok()) return;
    const Result<UploadAnnouncement> parsed = ParseUploadAnnouncement(*found);
    if (parsed.ok() && parsed->upload_id == upload_id) (void)store_.Delete(key);
  }

 private:
  Status TakeNumbers(const std::string& key) {
    Claimed& claimed = claimed_[key];
    if (claimed.next < claimed.end) return Ok();
    const auto told = data_files_.find(key);
    if (told == data_files_.end() || told->second.empty()) {
      return MakeError(ErrorKind::kUnsupported, "there is no upload for ", key);
    }
    for (int i = 0; i < kMostClaims; ++i) {
      LEMAN_ASSIGN_OR_RETURN(const std::optional<Claimed> taken, Take(key, told->second));
      if (!taken) continue;
      claimed = *taken;
      return Ok();
    }
    return MakeError(ErrorKind::kUnsupported, "others were always faster to take part numbers of ", key);
  }

  /// Nothing where somebody else was faster.
  Result<std::optional<Claimed>> Take(const std::string& key, const std::string& data_file) {
    const Result<std::string> found = store_.Get(key);
    if (!found.ok() && found.error().kind == ErrorKind::kNotFound) return Announce(key, data_file);
    if (!found.ok()) return found.error();
    Result<UploadAnnouncement> parsed = ParseUploadAnnouncement(*found);
    if (!parsed.ok()) return MakeError(ErrorKind::kUnsupported, key, ": ", parsed.error().message);
    if (claimed_[key].upload_id != parsed->upload_id) {
      const auto parts = uploads().PartsOf("data/" + parsed->data_file, parsed->upload_id);
      if (!parts.ok() && parts.error().kind == ErrorKind::kNotFound) {
        // An earlier run's, aborted since.
        LEMAN_RETURN_IF_ERROR(store_.Delete(key));
        return std::optional<Claimed>();
      }
    }
    const int64_t first = parsed->next_number;
    if (first + kNumbersAtOnce - 1 > kLastWorkerPart) {
      return MakeError(ErrorKind::kUnsupported, key, ": no part numbers are left");
    }
    parsed->next_number = first + kNumbersAtOnce;
    parsed->claim = RandomDigits();
    const Status put = store_.PutIfMatch(key, EncodeUploadAnnouncement(*parsed), *found);
    return Outcome(put, {parsed->data_file, parsed->upload_id, first, first + kNumbersAtOnce});
  }

  Result<std::optional<Claimed>> Announce(const std::string& key, const std::string& data_file) {
    const std::string object = "data/" + data_file;
    LEMAN_ASSIGN_OR_RETURN(const std::string id, uploads().Create(object));
    const UploadAnnouncement announcement{data_file, id, 1 + kNumbersAtOnce, RandomDigits()};
    const Status put = store_.PutIfAbsent(key, EncodeUploadAnnouncement(announcement));
    if (!put.ok()) (void)uploads().Abort(object, id);
    return Outcome(put, {data_file, id, 1, 1 + kNumbersAtOnce});
  }

  static Result<std::optional<Claimed>> Outcome(const Status& put, Claimed claimed) {
    if (put.ok()) return std::optional(std::move(claimed));
    const ErrorKind kind = put.error().kind;
    const bool slower =
        kind == ErrorKind::kConflict || kind == ErrorKind::kAlreadyExists || kind == ErrorKind::kNotFound;
    if (slower) return std::optional<Claimed>();
    return put.error();
  }

  ObjectStore& store_;
  std::mutex making_;
  PartUploadsMaker make_uploads_;
  std::unique_ptr<PartUploads> uploads_;
  std::mutex mutex_;
  std::map<std::string, std::string> data_files_;
  std::map<std::string, Claimed> claimed_;
};

/// Gathers pages into parts that are large enough, whatever comes after them; `queue`, if there is one, sends them.
class UploadSink : public PageSink {
 public:
  UploadSink(const PartLimits& limits, WriteQueue* queue)
      : min_bytes_(static_cast<size_t>(limits.min_part_bytes)), queue_(queue) {}

  Result<int64_t> Reserve(int64_t size_bytes) override {
    const int64_t position = reserved_;
    constexpr auto kStep = static_cast<int64_t>(kGrid);
    reserved_ += (size_bytes + kStep - 1) / kStep * kStep;
    return position;
  }

  Status Write(int64_t position, std::span<const std::string_view> bytes) override {
    if (position != written_) return MakeError(ErrorKind::kInternal, "pages of an upload come one after the other");
    for (const std::string_view part : bytes) pending_ += part;
    pending_.resize((pending_.size() + kGrid - 1) / kGrid * kGrid);
    written_ = reserved_;
    if (pending_.size() < min_bytes_) return Ok();
    // The last but one waits: what follows may be too small for a part.
    if (!ready_.empty()) LEMAN_RETURN_IF_ERROR(SendSoon(std::exchange(ready_, {})));
    ready_ = std::exchange(pending_, {});
    return Ok();
  }

  Result<ClosedFile> Finish(int64_t, std::string_view tail, uint32_t) final {
    // With a queue this runs behind all that was sent before.
    LEMAN_RETURN_IF_ERROR(sent());
    return Complete(tail);
  }

 protected:
  virtual Result<ClosedFile> Complete(std::string_view tail) = 0;
  virtual Status Send(const std::string& part) = 0;
  /// Sends all but what is left, which is returned: at least as much as a part needs, if there is so much.
  [[nodiscard]] size_t min_bytes() const { return min_bytes_; }
  std::string TakeRest() { return std::exchange(ready_, {}) + std::exchange(pending_, {}); }

 private:
  Status SendSoon(std::string part) {
    if (queue_ == nullptr) return Send(part);
    LEMAN_RETURN_IF_ERROR(sent());
    const auto held_bytes = static_cast<int64_t>(part.size());
    const auto kept = std::make_shared<std::string>(std::move(part));
    queue_->Post(held_bytes, [this, kept] {
      const Status before = sent();
      if (!before.ok()) return;
      const Status status = Send(*kept);
      const std::lock_guard lock(mutex_);
      sent_ = status;
    });
    return Ok();
  }
  Status sent() {
    const std::lock_guard lock(mutex_);
    return sent_;
  }

  size_t min_bytes_;
  WriteQueue* queue_;
  std::mutex mutex_;
  Status sent_ = Ok();  // The first error of what the queue sent.
  int64_t reserved_ = 0;
  int64_t written_ = 0;
  std::string ready_;
  std::string pending_;
};

class FragmentSink final : public UploadSink {
 public:
  FragmentSink(UploadClaims& claims, std::string key, const PartLimits& limits, WriteQueue* queue)
      : UploadSink(limits, queue), claims_(claims), key_(std::move(key)) {}

 protected:
  Result<ClosedFile> Complete(std::string_view tail) override {
    const std::string rest = TakeRest();
    if (rest.size() < min_bytes() && !rest.empty()) {
      return MakeError(ErrorKind::kInternal, key_, ": a file of ", rest.size(), " bytes is too small for a part");
    }
    if (!rest.empty()) LEMAN_RETURN_IF_ERROR(Send(rest));
    record_.tail = tail;
    ClosedFile closed{record_.parts_bytes() + static_cast<int64_t>(tail.size())};
    closed.uploaded = UploadedFile{RandomDigits(), EncodePartsRecord(record_)};
    return closed;
  }

  Status Send(const std::string& part) override {
    Status sent = TrySend(part);
    // What an earlier run announced may be gone.
    if (!sent.ok() && sent.error().kind == ErrorKind::kNotFound && record_.parts.empty()) sent = TrySend(part);
    if (sent.ok()) return sent;
    claims_.Forget(key_);
    Error error = sent.error();
    if (error.kind == ErrorKind::kNotFound || error.kind == ErrorKind::kUnsupported) error.kind = ErrorKind::kRetryable;
    return error;
  }

 private:
  Status TrySend(const std::string& part) {
    LEMAN_ASSIGN_OR_RETURN(const ClaimedPart claimed, claims_.Next(key_));
    if (record_.parts.empty()) {
      record_.data_file = claimed.data_file;
      record_.upload_id = claimed.upload_id;
    } else if (record_.upload_id != claimed.upload_id) {
      return MakeError(ErrorKind::kRetryable, key_, ": another upload was begun meanwhile");
    }
    const auto tag = claims_.uploads().Upload("data/" + record_.data_file, record_.upload_id, claimed.number, part);
    if (!tag.ok() && tag.error().kind == ErrorKind::kNotFound) claims_.OnGone(key_, record_.upload_id);
    if (!tag.ok()) return tag.error();
    record_.parts.push_back({claimed.number, static_cast<int64_t>(part.size()), *tag});
    return Ok();
  }

  UploadClaims& claims_;
  std::string key_;
  PartsRecord record_;
};

/// A file of its own: an object, in one piece or in parts.
class ObjectSink final : public UploadSink {
 public:
  ObjectSink(UploadClaims& claims, ObjectStore& store, std::string key, const PartLimits& limits, WriteQueue* queue)
      : UploadSink(limits, queue), claims_(claims), store_(store), key_(std::move(key)) {}
  ObjectSink(const ObjectSink&) = delete;
  ObjectSink& operator=(const ObjectSink&) = delete;
  ~ObjectSink() override {
    if (!upload_id_.empty()) (void)claims_.uploads().Abort(key_, upload_id_);
  }

 protected:
  Result<ClosedFile> Complete(std::string_view tail) override {
    std::string rest = TakeRest();
    rest += tail;
    const auto bytes = sent_ + static_cast<int64_t>(rest.size());
    if (upload_id_.empty()) {
      LEMAN_RETURN_IF_ERROR(store_.Put(key_, rest));
      return ClosedFile{bytes};
    }
    LEMAN_RETURN_IF_ERROR(Send(rest));
    LEMAN_RETURN_IF_ERROR(claims_.uploads().Complete(key_, upload_id_, tags_));
    upload_id_.clear();
    return ClosedFile{bytes};
  }

  Status Send(const std::string& part) override {
    if (upload_id_.empty()) {
      LEMAN_ASSIGN_OR_RETURN(upload_id_, claims_.uploads().Create(key_));
    }
    const auto number = static_cast<int64_t>(tags_.size()) + 1;
    LEMAN_ASSIGN_OR_RETURN(std::string tag, claims_.uploads().Upload(key_, upload_id_, number, part));
    tags_.push_back(std::move(tag));
    sent_ += static_cast<int64_t>(part.size());
    return Ok();
  }

 private:
  UploadClaims& claims_;
  ObjectStore& store_;
  std::string key_;
  std::string upload_id_;
  std::vector<std::string> tags_;
  int64_t sent_ = 0;
};

class ObjectByteSource final : public ByteSource {
 public:
  explicit ObjectByteSource(std::string bytes) : bytes_(std::move(bytes)), source_(bytes_) {}
  [[nodiscard]] int64_t size_bytes() const override { return source_.size_bytes(); }
  Result<std::string> Read(int64_t offset, int64_t length) override { return source_.Read(offset, length); }

 private:
  std::string bytes_;
  MemoryByteSource source_;
};

class UploadPageStorage final : public PageStorage {
 public:
  UploadPageStorage(std::string root, std::unique_ptr<ObjectStore> store, PartUploadsMaker make_uploads,
                    const PartLimits& limits)
      : root_(std::move(root)), store_(std::move(store)), claims_(*store_, std::move(make_uploads)), limits_(limits) {}

  void TellDataFile(const std::string& pages_path, const std::string& data_file) override {
    if (const auto key = AnnouncementKey(pages_path)) claims_.Tell(*key, data_file);
  }
  void UseQueue(WriteQueue& queue) override { queue_ = &queue; }
  Result<std::unique_ptr<PageSink>> Into(const std::string& pages_path) override {
    const auto key = AnnouncementKey(pages_path);
    if (!key) return MakeError(ErrorKind::kUnsupported, pages_path, " has no upload");
    LEMAN_RETURN_IF_ERROR(claims_.Prepare(*key));
    return std::unique_ptr<PageSink>(std::make_unique<FragmentSink>(claims_, *key, limits_, queue_));
  }
  Result<std::unique_ptr<PageSink>> New(const std::string& path) override {
    return std::unique_ptr<PageSink>(std::make_unique<ObjectSink>(claims_, *store_, KeyOf(path), limits_, queue_));
  }
  Result<std::unique_ptr<ByteSource>> Open(const std::string& path) override {
    LEMAN_ASSIGN_OR_RETURN(std::string bytes, store_->Get(KeyOf(path)));
    return std::unique_ptr<ByteSource>(std::make_unique<ObjectByteSource>(std::move(bytes)));
  }
  void Remove(const std::string& path) override { (void)store_->Delete(KeyOf(path)); }
  Result<PlacedRegion> PlaceStaged(const std::string& path, const std::string&) override {
    return MakeError(ErrorKind::kUnsupported, path, " is copied inside the store");
  }

 private:
  [[nodiscard]] std::string KeyOf(const std::string& path) const {
    return path.starts_with(root_ + "/") ? path.substr(root_.size() + 1) : path;
  }
  /// Beside where the pages file would lie.
  [[nodiscard]] std::optional<std::string> AnnouncementKey(const std::string& pages_path) const {
    const std::string key = KeyOf(pages_path);
    constexpr std::string_view kSuffix = ".pages";
    if (!key.ends_with(kSuffix)) return std::nullopt;
    return key.substr(0, key.size() - kSuffix.size()) + ".upload";
  }

  std::string root_;
  std::unique_ptr<ObjectStore> store_;
  UploadClaims claims_;
  PartLimits limits_;
  WriteQueue* queue_ = nullptr;
};

}  // namespace

std::unique_ptr<PageStorage> MakeUploadPageStorage(std::string root, std::unique_ptr<ObjectStore> store,
                                                   PartUploadsMaker make_uploads, const PartLimits& limits) {
  return std::make_unique<UploadPageStorage>(std::move(root), std::move(store), std::move(make_uploads), limits);
}

}  // namespace leman
