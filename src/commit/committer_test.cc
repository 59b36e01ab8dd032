#include "commit/committer.h"

#include <gtest/gtest.h>

#include <functional>
#include <utility>

#include "commit/commit_queue.h"
#include "io/memory_object_store.h"
#include "table/testing/memory_table.h"

namespace leman {
namespace {

class CommitterTest : public ::testing::Test {
 protected:
  CommitterTest() {
    for (int64_t id = 0; id < 3; ++id) table_.AddFragment(id, {1, 2});
    const std::vector<FragmentInfo> fragments = *table_.Fragments();
    for (const FragmentInfo& info : fragments) expected_[info.id] = info;
    EXPECT_TRUE(files_.Put("data/f", "5\n6\n").ok());
  }

  Result<CommitOutcome> Commit(std::vector<int64_t> fragments) {
    std::vector<FragmentUpdate> updates;
    for (const int64_t id : fragments) updates.push_back({id, 2, "f"});
    return committer_.Commit(updates, expected_);
  }

  MemoryObjectStore files_;
  testing::MemoryTable table_{files_};
  ManualClock clock_;
  std::map<int64_t, FragmentInfo> expected_;
  Committer committer_{table_, clock_, "job", 4};
};

TEST_F(CommitterTest, MakesFragmentsVisibleInOneVersion) {
  const auto outcome = Commit({0, 2});
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->version, 5);
  EXPECT_EQ(table_.Output(0), (testing::Int64s{5, 6}));
  EXPECT_EQ(table_.Output(1), testing::Int64s(2));
  EXPECT_EQ(outcome->committed, (std::vector<int64_t>{0, 2}));
}

TEST_F(CommitterTest, AnAppendBetweenDoesNotDisturb) {
  table_.AddFragment(9, {7});
  const auto outcome = Commit({0});
  ASSERT_TRUE(outcome.ok());
  EXPECT_TRUE(outcome->conflicted.empty());
}

TEST_F(CommitterTest, StaleInputsAreNeverCommitted) {
  table_.RewriteInput(1, {10, 20});
  const auto outcome = Commit({0, 1});
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->committed, (std::vector<int64_t>{0}));
  EXPECT_EQ(outcome->conflicted, (std::vector<int64_t>{1}));
  EXPECT_EQ(table_.Output(1), testing::Int64s(2));
}

TEST_F(CommitterTest, AConflictIsTriedAgain) {
  table_.FailNextCommit(ErrorKind::kConflict, false);
  const auto outcome = Commit({0});
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->conflicts, 1);
  EXPECT_EQ(table_.Output(0), (testing::Int64s{5, 6}));
}

TEST_F(CommitterTest, ALostAnswerIsLookedUpAndNotRepeated) {
  table_.FailNextCommit(ErrorKind::kUnknownOutcome, true);
  const auto outcome = Commit({0});
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->version, 5);
  EXPECT_EQ(table_.version(), 5);
}

TEST_F(CommitterTest, ALostRequestIsSentAgain) {
  table_.FailNextCommit(ErrorKind::kUnknownOutcome, false);
  const auto outcome = Commit({0});
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(table_.Output(0), (testing::Int64s{5, 6}));
}

TEST_F(CommitterTest, AFragmentOfALaterGroupIsLookedAtThoughTheTableHasNotMovedSinceTheFirst) {
  Committer committer(table_, clock_, "job", 4);
  table_.RewriteInput(2, {7, 8});
  ASSERT_TRUE(committer.Commit({{0, 2, "f"}}, expected_).ok());
  const auto second = committer.Commit({{2, 2, "f"}}, expected_);
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second->conflicted, (std::vector<int64_t>{2}));
  EXPECT_EQ(table_.Output(2), testing::Int64s(2));
}

TEST_F(CommitterTest, AnErrorThatTryingAgainCannotMendIsReturned) {
  table_.FailNextCommit(ErrorKind::kInvalidArgument, false);
  EXPECT_EQ(Commit({0}).error().kind, ErrorKind::kInvalidArgument);
}

// The first commit is not answered and happens only after somebody has looked for it.
class LateTable final : public TableTransaction {
 public:
  explicit LateTable(testing::MemoryTable& table) : table_(table) {}

  Result<int64_t> LatestVersion() override { return table_.LatestVersion(); }
  Result<std::vector<FragmentInfo>> Inspect(int64_t version, const std::vector<int64_t>& ids) override {
    return table_.Inspect(version, ids);
  }
  Result<int64_t> Commit(int64_t version, const std::vector<FragmentUpdate>& updates, const CommitMark& mark) override {
    if (++commits > 1) return table_.Commit(version, updates, mark);
    late_ = [=, this] { (void)table_.Commit(version, updates, mark); };
    return MakeError(ErrorKind::kUnknownOutcome, "connection lost");
  }
  Result<std::optional<int64_t>> FindMark(int64_t since_version, const CommitMark& mark) override {
    const auto found = table_.FindMark(since_version, mark);
    if (late_) std::exchange(late_, nullptr)();
    return found;
  }
  Status MarkDone(const std::string&) override { return Ok(); }
  int commits = 0;

 private:
  testing::MemoryTable& table_;
  std::function<void()> late_;
};

TEST_F(CommitterTest, ARequestThatArrivesLateIsNotTakenForTheChangeOfAnother) {
  LateTable late(table_);
  Committer committer(late, clock_, "job", 4);
  const auto outcome = committer.Commit({{0, 2, "f"}, {2, 2, "f"}}, expected_);
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->committed, (std::vector<int64_t>{0, 2}));
  EXPECT_TRUE(outcome->conflicted.empty());
  EXPECT_TRUE(outcome->uncertain);
  EXPECT_EQ(outcome->version, 5);
  EXPECT_EQ(late.commits, 1);
}

TEST(CommitQueue, WaitsForEnoughFragmentsOrTheEnd) {
  CommitQueue queue(2);
  EXPECT_FALSE(queue.TakeGroup(true, 0).has_value());
  queue.Add({0});
  EXPECT_FALSE(queue.TakeGroup(false, 0).has_value());
  queue.Add({1});
  EXPECT_EQ(queue.TakeGroup(false, 0)->size(), 2U);
  queue.Add({2});
  EXPECT_EQ(queue.TakeGroup(true, 0)->size(), 1U);
}

TEST(CommitQueue, WithoutGranularityCommitsOnceAtTheEnd) {
  CommitQueue queue(std::nullopt);
  for (int i = 0; i < 1000; ++i) queue.Add({i});
  EXPECT_FALSE(queue.TakeGroup(false, 0).has_value());
  EXPECT_EQ(queue.TakeGroup(true, 0)->size(), 1000U);
}

TEST(CommitQueue, SlowCommitsArePaced) {
  CommitQueue queue(1);
  queue.OnCommitted(100, 50);
  queue.Add({0});
  EXPECT_FALSE(queue.TakeGroup(false, 549).has_value());
  EXPECT_TRUE(queue.TakeGroup(true, 549).has_value());
  queue.Add({1});
  EXPECT_TRUE(queue.TakeGroup(false, 550).has_value());
}

}  // namespace
}  // namespace leman
