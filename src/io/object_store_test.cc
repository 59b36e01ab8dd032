// The contract of ObjectStore, run against every implementation.
#include "io/object_store.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "base/crc32c.h"
#include "io/local_object_store.h"
#include "io/memory_object_store.h"

namespace leman {
namespace {

struct Implementation {
  const char* name;
  std::unique_ptr<ObjectStore> (*make)(const std::string& root);
};

class ObjectStoreContract : public testing::TestWithParam<Implementation> {
 protected:
  ObjectStoreContract()
      : root_(std::filesystem::temp_directory_path() / ("leman-store-test-" + std::to_string(::getpid()))),
        store_(GetParam().make(root_.string())) {}
  ~ObjectStoreContract() override { std::filesystem::remove_all(root_); }

  std::filesystem::path root_;
  std::unique_ptr<ObjectStore> store_;
};

TEST_P(ObjectStoreContract, WhatIsPutIsGot) {
  ASSERT_TRUE(store_->Put("a/b", "hello").ok());
  EXPECT_EQ(*store_->Get("a/b"), "hello");
  EXPECT_EQ(*store_->GetRange("a/b", 1, 3), "ell");
  ASSERT_TRUE(store_->Put("a/b", "").ok());
  EXPECT_EQ(*store_->Get("a/b"), "");
}

TEST_P(ObjectStoreContract, MissingObjectsAreNotFound) {
  EXPECT_EQ(store_->Get("a/none").error().kind, ErrorKind::kNotFound);
  EXPECT_FALSE(*store_->Exists("a/none"));
  EXPECT_TRUE(store_->Delete("a/none").ok());
  EXPECT_TRUE(store_->List("nowhere")->empty());
}

TEST_P(ObjectStoreContract, RangesOutsideTheObjectAreCorruption) {
  ASSERT_TRUE(store_->Put("x", "12345").ok());
  EXPECT_EQ(store_->GetRange("x", 3, 3).error().kind, ErrorKind::kCorrupt);
  EXPECT_EQ(store_->GetRange("x", -1, 2).error().kind, ErrorKind::kCorrupt);
}

TEST_P(ObjectStoreContract, ChecksumsAreOfTheFirstBytes) {
  std::string bytes(300'001, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 7 + i / 256);
  ASSERT_TRUE(store_->Put("d/sum", bytes).ok());
  for (const size_t size : {size_t{0}, size_t{1}, size_t{128 << 10}, bytes.size()}) {
    const auto sum = store_->Checksum("d/sum", static_cast<int64_t>(size));
    ASSERT_TRUE(sum.ok()) << sum.error().message;
    EXPECT_EQ(*sum, Crc32c(bytes.data(), size)) << size;
  }
  EXPECT_EQ(store_->Checksum("d/sum", int64_t(bytes.size()) + 1).error().kind, ErrorKind::kCorrupt);
  EXPECT_EQ(store_->Checksum("none", 1).error().kind, ErrorKind::kNotFound);
}

TEST_P(ObjectStoreContract, PutIfAbsentNeverReplaces) {
  ASSERT_TRUE(store_->PutIfAbsent("k", "first").ok());
  EXPECT_EQ(store_->PutIfAbsent("k", "second").error().kind, ErrorKind::kAlreadyExists);
  EXPECT_EQ(*store_->Get("k"), "first");
}

TEST_P(ObjectStoreContract, ListShowsOneFolderOnly) {
  ASSERT_TRUE(store_->Put("d/one", "1").ok());
  ASSERT_TRUE(store_->Put("d/two", "22").ok());
  ASSERT_TRUE(store_->Put("d/sub/three", "333").ok());
  auto listed = *store_->List("d");
  std::sort(listed.begin(), listed.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  ASSERT_EQ(listed.size(), 2U);
  EXPECT_EQ(listed[0].name, "one");
  EXPECT_EQ(listed[1].size_bytes, 2);
}

TEST_P(ObjectStoreContract, RenameMovesAndReplaces) {
  ASSERT_TRUE(store_->Put("from", "new").ok());
  ASSERT_TRUE(store_->Put("deep/to", "old").ok());
  ASSERT_TRUE(store_->Rename("from", "deep/to").ok());
  EXPECT_EQ(*store_->Get("deep/to"), "new");
  EXPECT_FALSE(*store_->Exists("from"));
  ASSERT_TRUE(store_->Copy("deep/to", "copy").ok());
  EXPECT_EQ(*store_->Get("copy"), "new");
}

TEST_P(ObjectStoreContract, KeysThatLeaveTheRootAreRefused) {
  for (const char* key : {"", "../x", "a/../b", "a//b", "/a", "a/", "."}) {
    EXPECT_EQ(store_->Put(key, "x").error().kind, ErrorKind::kInvalidArgument) << key;
    EXPECT_EQ(store_->Get(key).error().kind, ErrorKind::kInvalidArgument) << key;
  }
}

INSTANTIATE_TEST_SUITE_P(All, ObjectStoreContract,
                         testing::Values(Implementation{"Memory",
                                                        [](const std::string&) -> std::unique_ptr<ObjectStore> {
                                                          return std::make_unique<MemoryObjectStore>();
                                                        }},
                                         Implementation{"Local",
                                                        [](const std::string& root) -> std::unique_ptr<ObjectStore> {
                                                          return std::make_unique<LocalObjectStore>(root);
                                                        }}),
                         [](const auto& param_info) { return param_info.param.name; });

}  // namespace
}  // namespace leman
