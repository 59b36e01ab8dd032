#include "assemble/file_parts.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "assemble/object_assembly.h"
#include "io/local_object_store.h"
#include "io/memory_object_store.h"
#include "io/testing/memory_part_uploads.h"

namespace leman {
namespace {

namespace fs = std::filesystem;

class FilePartsTest : public ::testing::Test {
 protected:
  FilePartsTest() : root_(fs::temp_directory_path() / ("leman-file-parts-" + std::to_string(::getpid()))) {
    fs::create_directories(root_);
  }
  ~FilePartsTest() override { fs::remove_all(root_); }

  fs::path root_;
  FileParts parts_{root_.string()};
  LocalObjectStore files_{root_.string()};
};

TEST_F(FilePartsTest, PartsInAnyOrderMakeTheFile) {
  const std::string upload = *parts_.Create("d/out");
  ASSERT_TRUE(parts_.Expect("d/out", upload, {3, 1, 2}).ok());
  ASSERT_TRUE(parts_.Upload("d/out", upload, 3, "ef").ok());
  ASSERT_TRUE(parts_.Upload("d/out", upload, 1, "abc").ok());
  EXPECT_FALSE(fs::exists(root_ / "d/out"));
  ASSERT_TRUE(parts_.Upload("d/out", upload, 2, "d").ok());
  ASSERT_TRUE(parts_.Complete("d/out", upload, {"", "", ""}).ok());
  EXPECT_EQ(*files_.Get("d/out"), "abcdef");
  EXPECT_EQ(files_.Head("d/out")->size_bytes, 6);
  EXPECT_FALSE(fs::exists(root_ / "d/out.tmp"));
}

TEST_F(FilePartsTest, WhatIsNotExpectedIsRefused) {
  const std::string upload = *parts_.Create("out");
  EXPECT_FALSE(parts_.Upload("out", upload, 1, "abc").ok());
  ASSERT_TRUE(parts_.Expect("out", upload, {3}).ok());
  EXPECT_FALSE(parts_.Upload("out", upload, 1, "ab").ok());
  EXPECT_FALSE(parts_.Upload("out", upload, 2, "abc").ok());
  EXPECT_FALSE(parts_.Upload("out", "another", 1, "abc").ok());
  EXPECT_EQ(parts_.CopyRange("out", upload, 1, "x", "", 0, 3).error().kind, ErrorKind::kUnsupported);
  ASSERT_TRUE(parts_.Abort("out", upload).ok());
  ASSERT_TRUE(parts_.Abort("out", upload).ok());
  EXPECT_TRUE(fs::is_empty(root_));
}

/// A store that turns out not to copy from where checkpoints lie.
class RefusingUploads final : public PartUploads {
 public:
  explicit RefusingUploads(PartUploads& others) : others_(others) {}
  [[nodiscard]] bool copies_ranges() const override { return true; }
  [[nodiscard]] bool any_order() const override { return true; }
  Result<std::string> Create(const std::string& key) override { return others_.Create(key); }
  Result<std::string> Upload(const std::string& key, const std::string& upload, int64_t number,
                             std::string_view bytes) override {
    return others_.Upload(key, upload, number, bytes);
  }
  Result<std::string> CopyRange(const std::string&, const std::string&, int64_t, const std::string&, const std::string&,
                                int64_t, int64_t) override {
    ++refused;
    return MakeError(ErrorKind::kUnsupported, "not from there");
  }
  Status Complete(const std::string& key, const std::string& upload, const std::vector<std::string>& tags) override {
    return others_.Complete(key, upload, tags);
  }
  Status Abort(const std::string& key, const std::string& upload) override { return others_.Abort(key, upload); }

  int refused = 0;

 private:
  PartUploads& others_;
};

TEST(ObjectAssembly, WhatTheStoreRefusesToCopyGoesThroughTheProcess) {
  constexpr int64_t kBytes = 6 << 20;
  MemoryObjectStore store;
  ASSERT_TRUE(store.Put("from", std::string(kBytes, 'x')).ok());
  testing::MemoryPartUploads memory(store, 5 << 20);
  RefusingUploads uploads(memory);
  AssemblyPlan plan;
  plan.segments = {{0, CheckpointRange{0, 0, kBytes}}, {kBytes, std::string("tail")}};
  plan.size_bytes = kBytes + 4;
  ObjectAssemblyOptions options;
  options.threads = 1;
  const auto made = AssembleToObject(plan, {{"from", {kBytes, ""}}}, "to", store, uploads, options);
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ(uploads.refused, 1);
  EXPECT_EQ(made->copied_inside_bytes, 0);
  EXPECT_EQ(made->uploaded_bytes, kBytes + 4);
  EXPECT_EQ(*store.Get("to"), std::string(kBytes, 'x') + "tail");
  EXPECT_EQ(memory.open, 0);
}

}  // namespace
}  // namespace leman
