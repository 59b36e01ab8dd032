#include "place/upload_page_storage.h"

#include <gtest/gtest.h>

#include <map>
#include <utility>
#include <vector>

#include "io/memory_object_store.h"
#include "model/upload_parts.h"

namespace leman {
namespace {

constexpr const char* kRoot = "s3://bucket/t.lance";
constexpr const char* kPages = "s3://bucket/t.lance/_leman/checkpoints/c/3-0123456789abcdef.pages";
constexpr const char* kAnnouncement = "_leman/checkpoints/c/3-0123456789abcdef.upload";
constexpr const char* kDataFile = "leman-f0123456789abcdef01234567-0-0123456789ab.lance";
constexpr int64_t kMinPartBytes = 1000;

/// Uploads in memory that several writers share.
struct Uploads {
  std::map<std::string, std::map<int64_t, std::string>> open;
  int created = 0;
  bool fail = false;
};

class SharedUploads final : public PartUploads {
 public:
  explicit SharedUploads(Uploads& uploads) : uploads_(uploads) {}
  [[nodiscard]] bool copies_ranges() const override { return true; }
  [[nodiscard]] bool any_order() const override { return true; }
  Result<std::string> Create(const std::string&) override {
    const std::string id = "upload" + std::to_string(++uploads_.created);
    uploads_.open[id];
    return id;
  }
  Result<std::string> Upload(const std::string&, const std::string& id, int64_t number,
                             std::string_view bytes) override {
    if (uploads_.fail) return MakeError(ErrorKind::kRetryable, "away");
    if (!uploads_.open.contains(id)) return MakeError(ErrorKind::kNotFound, "no upload");
    uploads_.open[id][number] = bytes;
    return "tag" + std::to_string(number);
  }
  Result<std::string> CopyRange(const std::string&, const std::string&, int64_t, const std::string&, const std::string&,
                                int64_t, int64_t) override {
    return MakeError(ErrorKind::kUnsupported, "not here");
  }
  Status Complete(const std::string&, const std::string&, const std::vector<std::string>&) override { return Ok(); }
  Status Abort(const std::string&, const std::string& id) override {
    uploads_.open.erase(id);
    return Ok();
  }
  Result<std::vector<UploadedPart>> PartsOf(const std::string&, const std::string& id) override {
    if (!uploads_.open.contains(id)) return MakeError(ErrorKind::kNotFound, "no upload");
    return std::vector<UploadedPart>();
  }

 private:
  Uploads& uploads_;
};

/// Keeps nothing of its own, so that writers share what is in `store`.
class Borrowed final : public ObjectStore {
 public:
  explicit Borrowed(ObjectStore& store) : store_(store) {}
  Result<std::string> Get(const std::string& key) override { return store_.Get(key); }
  Result<std::string> GetRange(const std::string& key, int64_t offset, int64_t size) override {
    return store_.GetRange(key, offset, size);
  }
  Status Put(const std::string& key, std::string_view bytes) override { return store_.Put(key, bytes); }
  Status PutIfAbsent(const std::string& key, std::string_view bytes) override { return store_.PutIfAbsent(key, bytes); }
  Result<std::vector<ObjectMeta>> List(const std::string& folder) override { return store_.List(folder); }
  Status Copy(const std::string& from, const std::string& to) override { return store_.Copy(from, to); }
  Status Rename(const std::string& from, const std::string& to) override { return store_.Rename(from, to); }
  Status Delete(const std::string& key) override { return store_.Delete(key); }
  Result<bool> Exists(const std::string& key) override { return store_.Exists(key); }

 private:
  ObjectStore& store_;
};

class UploadPageStorageTest : public ::testing::Test {
 protected:
  std::unique_ptr<PageStorage> Writer() {
    PartLimits limits;
    limits.min_part_bytes = kMinPartBytes;
    auto storage = MakeUploadPageStorage(
        kRoot, std::make_unique<Borrowed>(store_), [this] { return std::make_unique<SharedUploads>(uploads_); },
        limits);
    storage->TellDataFile(kPages, kDataFile);
    return storage;
  }
  /// A file of pages of these sizes.
  static Result<ClosedFile> WriteFile(PageStorage& storage, const std::vector<size_t>& sizes) {
    LEMAN_ASSIGN_OR_RETURN(const std::unique_ptr<PageSink> sink, storage.Into(kPages));
    for (const size_t size : sizes) {
      const std::string page(size, 'p');
      const std::string_view bytes = page;
      LEMAN_ASSIGN_OR_RETURN(const int64_t position, sink->Reserve(static_cast<int64_t>(size)));
      EXPECT_EQ(position % 64, 0);
      LEMAN_RETURN_IF_ERROR(sink->Write(position, {&bytes, 1}));
    }
    LEMAN_ASSIGN_OR_RETURN(const int64_t position, sink->Reserve(4));
    return sink->Finish(position, "tail", 0);
  }

  MemoryObjectStore store_;
  Uploads uploads_;
};

TEST_F(UploadPageStorageTest, WritersShareOneUploadAndNoPartNumber) {
  const auto one = Writer();
  const auto other = Writer();
  std::map<int64_t, int> numbers;
  for (int i = 0; i < 20; ++i) {
    const auto closed = WriteFile(i % 2 == 0 ? *one : *other, {1500, 900, 1200, 10});
    ASSERT_TRUE(closed.ok()) << closed.error().message;
    ASSERT_TRUE(closed->uploaded.has_value());
    const auto record = ParsePartsRecord(closed->uploaded->record);
    ASSERT_TRUE(record.ok());
    EXPECT_EQ(record->data_file, kDataFile);
    EXPECT_EQ(record->upload_id, "upload1");
    EXPECT_EQ(closed->size_bytes, record->parts_bytes() + 4);
    for (const UploadedPart& part : record->parts) {
      ++numbers[part.number];
      EXPECT_GE(part.size_bytes, kMinPartBytes);
      EXPECT_EQ(part.size_bytes % 64, 0);
      EXPECT_EQ(static_cast<int64_t>(uploads_.open["upload1"][part.number].size()), part.size_bytes);
    }
  }
  EXPECT_EQ(uploads_.created, 1);
  EXPECT_EQ(numbers.size(), 40U);
  for (const auto& [number, times] : numbers) EXPECT_EQ(times, 1) << number;
}

/// Does nothing until it is told to.
class PatientQueue final : public WriteQueue {
 public:
  void Post(int64_t held_bytes, std::function<void()> work) override {
    held.push_back(held_bytes);
    posted_.push_back(std::move(work));
  }
  void DoAll() {
    for (const auto& work : std::exchange(posted_, {})) work();
  }
  std::vector<int64_t> held;

 private:
  std::vector<std::function<void()>> posted_;
};

TEST_F(UploadPageStorageTest, AQueueSendsTheParts) {
  const auto storage = Writer();
  PatientQueue queue;
  storage->UseQueue(queue);
  const auto sink = std::move(storage->Into(kPages).value());
  const auto write = [&sink](char letter) {
    const std::string page(1024, letter);
    const std::string_view bytes = page;
    return sink->Write(*sink->Reserve(1024), {&bytes, 1});
  };
  for (const char letter : {'a', 'b', 'c'}) ASSERT_TRUE(write(letter).ok());
  EXPECT_EQ(queue.held, (std::vector<int64_t>{1024, 1024}));
  EXPECT_TRUE(uploads_.open["upload1"].empty());
  queue.DoAll();
  const auto closed = sink->Finish(*sink->Reserve(4), "tail", 0);
  ASSERT_TRUE(closed.ok()) << closed.error().message;
  EXPECT_EQ(ParsePartsRecord(closed->uploaded->record)->parts.size(), 3U);
  for (int64_t number = 1; number <= 3; ++number) {
    EXPECT_EQ(uploads_.open["upload1"][number], std::string(1024, static_cast<char>('a' + number - 1)));
  }
}

TEST_F(UploadPageStorageTest, WhatAQueueCouldNotSendIsNoFile) {
  const auto storage = Writer();
  PatientQueue queue;
  storage->UseQueue(queue);
  const auto sink = std::move(storage->Into(kPages).value());
  const std::string page(1024, 'a');
  const std::string_view bytes = page;
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(sink->Write(*sink->Reserve(1024), {&bytes, 1}).ok());
  uploads_.fail = true;
  queue.DoAll();
  uploads_.fail = false;
  EXPECT_EQ(sink->Write(*sink->Reserve(1024), {&bytes, 1}).error().message, "away");
  EXPECT_EQ(sink->Finish(*sink->Reserve(4), "tail", 0).error().message, "away");
}

TEST_F(UploadPageStorageTest, AnUploadThatIsGoneIsReplaced) {
  ASSERT_TRUE(WriteFile(*Writer(), {1500}).ok());
  uploads_.open.clear();
  const auto closed = WriteFile(*Writer(), {1500});
  ASSERT_TRUE(closed.ok()) << closed.error().message;
  EXPECT_EQ(ParsePartsRecord(closed->uploaded->record)->upload_id, "upload2");
  const auto writer = Writer();
  ASSERT_TRUE(WriteFile(*writer, {1500}).ok());
  uploads_.open.clear();
  const auto later = WriteFile(*writer, {1500});
  ASSERT_TRUE(later.ok()) << later.error().message;
  EXPECT_EQ(ParsePartsRecord(later->uploaded->record)->upload_id, "upload3");
}

TEST_F(UploadPageStorageTest, WithoutNumbersOrANameThereIsNoUpload) {
  PartLimits limits;
  const auto untold = MakeUploadPageStorage(
      kRoot, std::make_unique<Borrowed>(store_), [this] { return std::make_unique<SharedUploads>(uploads_); }, limits);
  EXPECT_EQ(untold->Into(kPages).error().kind, ErrorKind::kUnsupported);
  uploads_.open["upload9"];
  const UploadAnnouncement full{kDataFile, "upload9", kLastWorkerPart - 3, "0123456789abcdef"};
  ASSERT_TRUE(store_.Put(kAnnouncement, EncodeUploadAnnouncement(full)).ok());
  EXPECT_EQ(Writer()->Into(kPages).error().kind, ErrorKind::kUnsupported);
}

TEST_F(UploadPageStorageTest, AFileOfItsOwnIsAnObject) {
  const auto storage = Writer();
  const auto sink = std::move(storage->New(std::string(kRoot) + "/_leman/checkpoints/c/tmp-1").value());
  const std::string_view bytes = "page";
  ASSERT_TRUE(sink->Write(*sink->Reserve(4), {&bytes, 1}).ok());
  const auto closed = sink->Finish(*sink->Reserve(4), "tail", 0);
  ASSERT_TRUE(closed.ok());
  EXPECT_FALSE(closed->uploaded.has_value());
  EXPECT_EQ(closed->size_bytes, 68);
  EXPECT_EQ(*store_.Get("_leman/checkpoints/c/tmp-1"), "page" + std::string(60, '\0') + "tail");
  EXPECT_EQ(uploads_.created, 0);
}

}  // namespace
}  // namespace leman
