#include "job/column_lease.h"

#include <gtest/gtest.h>

#include "io/memory_object_store.h"
#include "job/process_identity.h"

namespace leman {
namespace {

BackfillSpec SpecOf(const std::string& job, const std::string& column = "y") {
  BackfillSpec spec;
  spec.job_id = job;
  spec.column = column;
  return spec;
}

class ColumnLeaseTest : public testing::Test {
 protected:
  std::string OnlyKey() { return "_leman/leases/" + store_.List("_leman/leases")->at(0).name; }

  MemoryObjectStore store_;
  ManualClock clock_;
};

TEST_F(ColumnLeaseTest, ASecondJobIsToldWhichOneRuns) {
  const auto first = ColumnLease::Acquire(SpecOf("job-a"), store_, clock_);
  ASSERT_TRUE(first.ok());
  const auto second = ColumnLease::Acquire(SpecOf("job-b"), store_, clock_);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().kind, ErrorKind::kAlreadyExists);
  EXPECT_NE(second.error().message.find("job-a"), std::string::npos);
  EXPECT_TRUE((*first)->Check().ok());
}

TEST_F(ColumnLeaseTest, ASecondJobIsToldWhenASilentOneIsOutOfTheWay) {
  const auto first = ColumnLease::Acquire(SpecOf("job-a"), store_, clock_);
  ASSERT_TRUE(first.ok());
  clock_.AdvanceNs(40'000'000'000);
  const auto second = ColumnLease::Acquire(SpecOf("job-b"), store_, clock_);
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.error().message.find("not been heard of for 40 s"), std::string::npos) << second.error().message;
  EXPECT_NE(second.error().message.find("free in 21 s"), std::string::npos) << second.error().message;
  clock_.AdvanceNs(21'000'000'000);
  EXPECT_TRUE(ColumnLease::Acquire(SpecOf("job-b"), store_, clock_).ok());
}

TEST_F(ColumnLeaseTest, OtherColumnsAreFree) {
  const auto first = ColumnLease::Acquire(SpecOf("job-a"), store_, clock_);
  EXPECT_TRUE(ColumnLease::Acquire(SpecOf("job-b", "z"), store_, clock_).ok());
}

TEST_F(ColumnLeaseTest, IsGivenBackAtTheEnd) {
  { const auto first = ColumnLease::Acquire(SpecOf("job-a"), store_, clock_); }
  EXPECT_TRUE(store_.List("_leman/leases")->empty());
  EXPECT_TRUE(ColumnLease::Acquire(SpecOf("job-b"), store_, clock_).ok());
}

TEST_F(ColumnLeaseTest, AnExpiredLeaseIsTakenOverAndTheOldHolderIsFencedOff) {
  auto zombie = ColumnLease::Acquire(SpecOf("job-a"), store_, clock_);
  ASSERT_TRUE(zombie.ok());
  clock_.AdvanceNs(61'000'000'000);
  const auto heir = ColumnLease::Acquire(SpecOf("job-b"), store_, clock_);
  ASSERT_TRUE(heir.ok());
  EXPECT_EQ((*zombie)->Check().error().kind, ErrorKind::kConflict);
  EXPECT_EQ((*zombie)->Renew(0).error().kind, ErrorKind::kConflict);
  zombie->reset();
  EXPECT_TRUE((*heir)->Check().ok()) << "the old holder removed what was no longer its own";
}

TEST_F(ColumnLeaseTest, ARenewedLeaseDoesNotExpire) {
  const auto first = ColumnLease::Acquire(SpecOf("job-a"), store_, clock_);
  for (int i = 0; i < 10; ++i) {
    clock_.AdvanceNs(20'000'000'000);
    ASSERT_TRUE((*first)->Renew(2'000'000'000).ok());
  }
  EXPECT_FALSE(ColumnLease::Acquire(SpecOf("job-b"), store_, clock_).ok());
}

TEST_F(ColumnLeaseTest, TheLeaseOfAJobThatEndedInThisProcessIsTakenOverAtOnce) {
  const auto first = ColumnLease::Acquire(SpecOf("job-a"), store_, clock_);
  BackfillSpec next = SpecOf("job-b");
  next.jobs_running_here = {{"job-a", "job-b"}};
  EXPECT_FALSE(ColumnLease::Acquire(next, store_, clock_).ok()) << "job-a runs";
  next.jobs_running_here = {{"job-b"}};
  const auto heir = ColumnLease::Acquire(next, store_, clock_);
  ASSERT_TRUE(heir.ok()) << heir.error().message;
  EXPECT_EQ((*first)->Check().error().kind, ErrorKind::kConflict);
}

TEST_F(ColumnLeaseTest, TheLeaseOfADeadProcessIsTakenOverAtOnce) {
  { const auto first = ColumnLease::Acquire(SpecOf("job-a"), store_, clock_); }
  const ProcessIdentity self = ThisProcess();
  const std::string dead = R"({"format":1,"job_id":"job-a","token":"t","fence":4,"renewed_at_us":0,"holder":{"pid":)" +
                           std::to_string(self.pid) + R"(,"host":")" + self.host + R"(","boot_id":")" + self.boot_id +
                           R"(","start_ticks":)" + std::to_string(self.start_ticks + 1) + "}}";
  ASSERT_TRUE(store_.Put("_leman/leases/a1fce4363854ff88.json", dead).ok());
  const auto heir = ColumnLease::Acquire(SpecOf("job-b"), store_, clock_);
  ASSERT_TRUE(heir.ok()) << heir.error().message;
  EXPECT_EQ(OnlyKey(), "_leman/leases/a1fce4363854ff88.json");
  EXPECT_NE(store_.Get(OnlyKey())->find("\"fence\": 5"), std::string::npos);
}

TEST_F(ColumnLeaseTest, UnreadableBytesAreNoLease) {
  for (const char* bytes : {"", "{", "[]", "{\"format\":2}", "{\"format\":1,\"holder\":3}"}) {
    ASSERT_TRUE(store_.Put("_leman/leases/a1fce4363854ff88.json", bytes).ok());
    EXPECT_TRUE(ColumnLease::Acquire(SpecOf("job-b"), store_, clock_).ok()) << bytes;
  }
}

TEST(ProcessIdentity, ThisProcessIsNotGone) {
  ProcessIdentity self = ThisProcess();
  EXPECT_FALSE(IsGone(self));
  self.start_ticks += 1;
  EXPECT_TRUE(IsGone(self));
  self.host = "elsewhere";
  EXPECT_FALSE(IsGone(self));
}

}  // namespace
}  // namespace leman
