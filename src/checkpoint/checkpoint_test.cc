#include <gtest/gtest.h>

#include "checkpoint/checkpoint_index.h"
#include "checkpoint/checkpoint_store.h"
#include "io/memory_object_store.h"

namespace leman {
namespace {

constexpr const char* kKey = "0123456789abcdef";

StoredCheckpoint At(int64_t fragment, int64_t start, int64_t end, const std::string& key = kKey) {
  return {RowRange{fragment, start, end}, key, CheckpointFileName({fragment, start, end}, key), 1};
}

std::vector<RowRange> Ranges(const std::vector<StoredCheckpoint>& checkpoints) {
  std::vector<RowRange> ranges;
  for (const auto& checkpoint : checkpoints) ranges.push_back(checkpoint.range);
  return ranges;
}

TEST(CheckpointStore, PublishedCheckpointsAreListedAndTemporariesAreNot) {
  MemoryObjectStore objects;
  CheckpointStore store(objects, "_leman/checkpoints/abc");
  const std::string temporary = store.TemporaryKey("w1", 7);
  ASSERT_TRUE(objects.Put(temporary, "bytes").ok());
  EXPECT_TRUE(store.List()->empty());
  const auto name = store.Publish(temporary, {3, 0, 10}, kKey, 5);
  ASSERT_TRUE(name.ok());
  const auto listed = *store.List();
  ASSERT_EQ(listed.size(), 1U);
  EXPECT_EQ(listed[0].range, (RowRange{3, 0, 10}));
  EXPECT_EQ(listed[0].size_bytes, 5);
  ASSERT_TRUE(store.Remove({*name}).ok());
  ASSERT_TRUE(store.Remove({*name}).ok());
  EXPECT_TRUE(store.List()->empty());
}

TEST(CheckpointStore, AFlippedBitOrAMissingEndIsFound) {
  MemoryObjectStore objects;
  CheckpointStore store(objects, "c");
  const std::string temporary = store.TemporaryKey("w1", 1);
  ASSERT_TRUE(objects.Put(temporary, "some bytes").ok());
  const std::string key = store.KeyOf(*store.Publish(temporary, {3, 0, 10}, kKey, 10));
  EXPECT_TRUE(store.Verify(key, 10).ok());
  ASSERT_TRUE(objects.Put(key, "some bytez").ok());
  EXPECT_EQ(store.Verify(key, 10).error().kind, ErrorKind::kCorrupt);
  EXPECT_NE(store.Verify(key, 10).error().message.find(key), std::string::npos);
  ASSERT_TRUE(objects.Put(key, "some byte").ok());
  EXPECT_EQ(store.Verify(key, 9).error().kind, ErrorKind::kCorrupt);
  EXPECT_TRUE(store.Verify("c/" + CheckpointFileName({3, 0, 10}, kKey), 9).ok());  // Of an older Leman.
}

TEST(CheckpointStore, LeftoversOfDeadWritersAreRemoved) {
  MemoryObjectStore objects;
  CheckpointStore store(objects, "c");
  ASSERT_TRUE(objects.Put(store.TemporaryKey("dead", 1), "half").ok());
  ASSERT_TRUE(objects.Put("c/" + CheckpointFileName({1, 0, 5}, kKey), "whole").ok());
  ASSERT_TRUE(objects.Put(store.TemporaryKey("alive", 1), "half").ok());
  EXPECT_EQ(*store.RemoveTemporaries("dead"), 1);
  EXPECT_TRUE(*objects.Exists(store.TemporaryKey("alive", 1)));
  EXPECT_EQ(store.List()->size(), 1U);
}

TEST(CheckpointIndex, GivesNonOverlappingCheckpointsInRowOrder) {
  const CheckpointIndex index({At(1, 50, 100), At(1, 0, 50), At(1, 40, 60), At(2, 0, 10)});
  EXPECT_EQ(Ranges(index.Of(1, kKey, 100)), (std::vector<RowRange>{{1, 0, 50}, {1, 50, 100}}));
}

TEST(CheckpointIndex, PrefersTheLargerOfOverlappingCheckpoints) {
  const CheckpointIndex index({At(1, 0, 10), At(1, 5, 100), At(1, 90, 100)});
  EXPECT_EQ(Ranges(index.Of(1, kKey, 100)), (std::vector<RowRange>{{1, 5, 100}}));
}

TEST(CheckpointIndex, TakesWhatTogetherHoldsMostRows) {
  // What a lost worker left beside what its successor's are: the longest one would leave rows 9 to 13 out.
  const CheckpointIndex index({At(1, 0, 9), At(1, 0, 8), At(1, 8, 14), At(1, 20, 30), At(1, 20, 25), At(1, 25, 30)});
  EXPECT_EQ(Ranges(index.Of(1, kKey, 100)), (std::vector<RowRange>{{1, 0, 8}, {1, 8, 14}, {1, 20, 30}}));
}

TEST(CheckpointIndex, PassesOverOtherInputsAndRowsThatDoNotExist) {
  const CheckpointIndex index({At(1, 0, 10, "fedcba9876543210"), At(1, 10, 200)});
  EXPECT_TRUE(index.Of(1, kKey, 100).empty());
  EXPECT_TRUE(index.Of(9, kKey, 100).empty());
}

TEST(MissingRanges, AreTheGaps) {
  EXPECT_EQ(MissingRanges(4, 100, {}), (std::vector<RowRange>{{4, 0, 100}}));
  EXPECT_EQ(MissingRanges(4, 100, {{4, 10, 20}, {4, 20, 50}}), (std::vector<RowRange>{{4, 0, 10}, {4, 50, 100}}));
  EXPECT_TRUE(MissingRanges(4, 100, {{4, 0, 100}}).empty());
}

}  // namespace
}  // namespace leman
