#include "assemble/part_plan.h"

#include <gtest/gtest.h>

#include <random>

#include "assemble/object_assembly.h"
#include "io/memory_object_store.h"
#include "io/testing/memory_part_uploads.h"

namespace leman {
namespace {

using testing::MemoryPartUploads;

constexpr int64_t kMin = 100;
const PartLimits kLimits{.min_part_bytes = kMin, .max_copied_part_bytes = 1000, .max_parts = 10'000};

AssemblyPlan PlanOf(std::vector<Segment> segments, int64_t size_bytes) {
  AssemblyPlan plan;
  plan.segments = std::move(segments);
  plan.size_bytes = size_bytes;
  return plan;
}

std::vector<ObjectPart> Parts(const AssemblyPlan& plan, const std::vector<int64_t>& sizes, bool copy = true) {
  auto parts = PlanParts(plan, sizes, copy, kLimits);
  EXPECT_TRUE(parts.ok());
  return parts.ok() ? *parts : std::vector<ObjectPart>{};
}

TEST(PartPlan, OneCopyForEachLargeRangeAndTheTailLast) {
  const auto plan = PlanOf({{0, CheckpointRange{0, 0, 300}}, {300, CheckpointRange{1, 0, 200}}, {500, "tail"}}, 504);
  const auto parts = Parts(plan, {320, 220});
  ASSERT_EQ(parts.size(), 3U);
  EXPECT_EQ(parts[0], (ObjectPart{{CheckpointRange{0, 0, 300}}, 300, true}));
  EXPECT_EQ(parts[1], (ObjectPart{{CheckpointRange{1, 0, 200}}, 200, true}));
  EXPECT_EQ(parts[2], (ObjectPart{{std::string("tail")}, 4, false}));
}

TEST(PartPlan, AGapIsFilledByMoreOfTheCheckpointSoThatNoSmallPartIsNeeded) {
  const auto plan = PlanOf({{0, CheckpointRange{0, 0, 290}}, {320, CheckpointRange{1, 0, 200}}, {520, "t"}}, 521);
  const auto parts = Parts(plan, {330, 220});
  ASSERT_EQ(parts.size(), 3U);
  EXPECT_EQ(parts[0], (ObjectPart{{CheckpointRange{0, 0, 320}}, 320, true}));
}

TEST(PartPlan, SmallRangesArePutTogetherWithTheirNeighbours) {
  const auto plan = PlanOf({{0, CheckpointRange{0, 0, 30}}, {30, CheckpointRange{1, 0, 500}}, {530, "t"}}, 531);
  const auto parts = Parts(plan, {40, 520});
  ASSERT_EQ(parts.size(), 3U);
  EXPECT_EQ(parts[0], (ObjectPart{{CheckpointRange{0, 0, 30}, CheckpointRange{1, 0, 70}}, 100, false}));
  EXPECT_EQ(parts[1], (ObjectPart{{CheckpointRange{1, 70, 430}}, 430, true}));
}

TEST(PartPlan, LargeRangesAreCutAndNoPieceIsTooSmall) {
  const auto plan = PlanOf({{0, CheckpointRange{0, 0, 2001}}, {2001, "t"}}, 2002);
  const auto parts = Parts(plan, {2100});
  ASSERT_EQ(parts.size(), 4U);
  for (size_t i = 0; i + 1 < parts.size(); ++i) EXPECT_GE(parts[i].size_bytes, kMin);
}

TEST(PartPlan, RefusesWhatNoObjectCanHold) {
  PartLimits limits = kLimits;
  limits.max_object_bytes = 100;
  const std::vector<int64_t> sizes{200};
  const auto parts = PlanParts(PlanOf({{0, CheckpointRange{0, 0, 101}}}, 101), sizes, true, limits);
  ASSERT_FALSE(parts.ok());
  EXPECT_EQ(parts.error().kind, ErrorKind::kInvalidArgument);
}

struct Case {
  AssemblyPlan plan;
  std::vector<CheckpointObject> checkpoints;
  std::string expected;  ///< '\0' where a gap may hold anything.
};

Case RandomCase(std::mt19937& random, MemoryObjectStore& store) {
  Case made;
  const int count = 1 + static_cast<int>(random() % 6);
  for (int i = 0; i < count; ++i) {
    std::string bytes(1 + random() % 3000, '\0');
    for (char& byte : bytes) byte = static_cast<char>(1 + random() % 255);
    const std::string key = "c" + std::to_string(i);
    EXPECT_TRUE(store.Put(key, bytes).ok());
    made.checkpoints.push_back({key, {static_cast<int64_t>(bytes.size()), ""}});
    made.expected.resize((made.expected.size() + 63) / 64 * 64);
    const auto offset = static_cast<int64_t>(random() % bytes.size());
    const auto length = 1 + static_cast<int64_t>(random() % (bytes.size() - static_cast<size_t>(offset)));
    made.plan.segments.push_back(
        {static_cast<int64_t>(made.expected.size()), CheckpointRange{static_cast<size_t>(i), offset, length}});
    made.expected += bytes.substr(static_cast<size_t>(offset), static_cast<size_t>(length));
  }
  made.plan.segments.push_back({static_cast<int64_t>(made.expected.size()), std::string("the tail")});
  made.expected += "the tail";
  made.plan.size_bytes = static_cast<int64_t>(made.expected.size());
  return made;
}

TEST(ObjectAssembly, MakesTheFileThatThePlanSaysInAnyCut) {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    MemoryObjectStore store;
    MemoryPartUploads uploads(store, kMin);
    const Case made = RandomCase(random, store);
    ObjectAssemblyOptions options;
    options.limits = kLimits;
    const auto assembly = AssembleToObject(made.plan, made.checkpoints, "out", store, uploads, options);
    ASSERT_TRUE(assembly.ok()) << assembly.error().message;
    EXPECT_EQ(assembly->copied_inside_bytes + assembly->uploaded_bytes, made.plan.size_bytes);
    std::string found = *store.Get("out");
    ASSERT_EQ(found.size(), made.expected.size());
    for (size_t i = 0; i < found.size(); ++i) {
      if (made.expected[i] != '\0') {
        ASSERT_EQ(found[i], made.expected[i]) << "round " << round << ", byte " << i;
      }
    }
    EXPECT_EQ(uploads.open, 0);
  }
}

TEST(ObjectAssembly, AFailedPartAbortsTheUploadAndLeavesNoObject) {
  MemoryObjectStore store;
  MemoryPartUploads uploads(store, kMin);
  ASSERT_TRUE(store.Put("c0", std::string(400, 'x')).ok());
  const auto plan = PlanOf({{0, CheckpointRange{0, 0, 300}}, {300, "tail"}}, 304);
  ObjectAssemblyOptions options;
  options.limits = kLimits;
  uploads.fail_part = 2;
  const auto failed = AssembleToObject(plan, {{"c0", {400, ""}}}, "out", store, uploads, options);
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().kind, ErrorKind::kRetryable);
  EXPECT_EQ(uploads.open, 0);
  EXPECT_FALSE(*store.Exists("out"));
  uploads.fail_part = 0;
  uploads.answer_lost = true;
  EXPECT_TRUE(AssembleToObject(plan, {{"c0", {400, ""}}}, "out", store, uploads, options).ok());
}

}  // namespace
}  // namespace leman
