#include "io/routed_object_store.h"

#include <gtest/gtest.h>

#include "io/memory_object_store.h"

namespace leman {
namespace {

class RoutedStore : public ::testing::Test {
 protected:
  RoutedStore() {
    auto inside = std::make_unique<MemoryObjectStore>();
    auto outside = std::make_unique<MemoryObjectStore>();
    inside_ = inside.get();
    outside_ = outside.get();
    store_ = std::make_unique<RoutedObjectStore>("a/b", std::move(inside), std::move(outside));
  }

  MemoryObjectStore* inside_;
  MemoryObjectStore* outside_;
  std::unique_ptr<RoutedObjectStore> store_;
};

TEST_F(RoutedStore, AKeyDecidesWhichStoreKeepsIt) {
  for (const char* key : {"a/b/c/d", "a/b/e"}) {
    ASSERT_TRUE(store_->Put(key, "in").ok());
    EXPECT_EQ(*inside_->Get(key), "in");
    EXPECT_FALSE(*outside_->Exists(key));
  }
  for (const char* key : {"a/bc", "a/c", "b"}) {
    ASSERT_TRUE(store_->PutIfAbsent(key, "out").ok());
    EXPECT_EQ(*outside_->Get(key), "out");
    EXPECT_FALSE(*inside_->Exists(key));
  }
  EXPECT_EQ(store_->List("a/b")->size(), 1U);
  EXPECT_EQ(store_->List("a")->size(), 2U);
  EXPECT_EQ(*store_->GetRange("a/b/e", 1, 1), "n");
  EXPECT_EQ(store_->Head("a/c")->size_bytes, 3);
  EXPECT_TRUE(store_->Checksum("a/b/e", 2)->has_value());
  EXPECT_EQ(store_->PutIfMatch("a/b/e", "new", "other").error().kind, ErrorKind::kConflict);
  ASSERT_TRUE(store_->Delete("a/b/e").ok());
  EXPECT_FALSE(*store_->Exists("a/b/e"));
}

TEST_F(RoutedStore, NothingIsCopiedOrRenamedFromOneStoreToTheOther) {
  ASSERT_TRUE(store_->Put("a/b/x", "x").ok());
  EXPECT_EQ(store_->Copy("a/b/x", "y").error().kind, ErrorKind::kUnsupported);
  EXPECT_EQ(store_->Rename("a/b/x", "y").error().kind, ErrorKind::kUnsupported);
  ASSERT_TRUE(store_->Copy("a/b/x", "a/b/y").ok());
  ASSERT_TRUE(store_->Rename("a/b/x", "a/b/z").ok());
  EXPECT_EQ(store_->List("a/b")->size(), 2U);
}

}  // namespace
}  // namespace leman
