// Worlds of fixed seeds keep every promise; broken worlds are noticed. New seeds: the program leman_sim.
#include <gtest/gtest.h>

#include "sim/sim_scenario.h"

namespace leman::sim {
namespace {

class SimTest : public ::testing::Test {
 protected:
  void ExpectKept(uint64_t first, uint64_t end) {
    for (uint64_t seed = first; seed < end; ++seed) {
      const SimReport report = RunSeed({.seed = seed}, stacks_);
      tally_.Add(report.tally);
      EXPECT_TRUE(report.violations.empty()) << "seed " << seed << ": " << report.violations.front();
    }
  }
  // Whether the invariants notice the sabotage in any of the first worlds.
  bool Noticed(Sabotage sabotage, bool calm, uint64_t seeds = 60) {
    for (uint64_t seed = 0; seed < seeds; ++seed) {
      if (!RunSeed({.seed = seed, .sabotage = sabotage, .calm = calm}, stacks_).violations.empty()) return true;
    }
    return false;
  }

  StackPool stacks_;
  SimTally tally_;
};

TEST_F(SimTest, EveryPromiseIsKeptInFourHundredWorlds) {
  ExpectKept(0, 400);
  // The faults that these worlds are about did happen.
  EXPECT_GT(tally_.driver_deaths, 100);
  EXPECT_GT(tally_.worker_deaths, 300);
  EXPECT_GT(tally_.drains, 100);
  EXPECT_GT(tally_.changes, 1000);
  EXPECT_GT(tally_.cleanups, 400);
  EXPECT_GT(tally_.store_errors, 50);
}

TEST_F(SimTest, TheSameSeedIsTheSameWorld) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const SimTally once = RunSeed({.seed = seed}, stacks_).tally;
    const SimTally again = RunSeed({.seed = seed}, stacks_).tally;
    EXPECT_EQ(once.events, again.events) << "seed " << seed;
    EXPECT_EQ(once.calls, again.calls) << "seed " << seed;
    EXPECT_EQ(once.checkpoints, again.checkpoints) << "seed " << seed;
  }
}

TEST_F(SimTest, WithoutFaultsEveryRowIsComputedOnce) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const SimReport report = RunSeed({.seed = seed, .calm = true}, stacks_);
    EXPECT_TRUE(report.violations.empty()) << "seed " << seed << ": " << report.violations.front();
  }
}

// Worlds that broke a promise once. Found by the simulator; the unit test that shows the defect alone is named.

// CommitterTest.AFragmentOfALaterGroupIsLookedAtThoughTheTableHasNotMovedSinceTheFirst
TEST_F(SimTest, ValuesOfAnInputThatWasReplacedBetweenTwoPartialCommitsAreNotCommitted) { ExpectKept(74, 75); }

// BackfillTest.SeveralCorruptCheckpointsOfOneFragmentAreDiscardedOneByOne
TEST_F(SimTest, SeveralCorruptCheckpointsOfOneFragmentDoNotFailTheJob) { ExpectKept(118, 119); }

// Scheduler.WhenItsReplacementLeavesTooAnotherOneIsStarted
TEST_F(SimTest, AJobWhoseWorkersAllLeaveGoesOn) { ExpectKept(951, 952); }

// The invariants can fail: each of these breaks one part of the world on purpose.

TEST_F(SimTest, NoticesCheckpointsThatAreAcknowledgedBeforeTheyAreDurable) {
  EXPECT_TRUE(Noticed(Sabotage::kAcknowledgeEarly, true));
}

TEST_F(SimTest, NoticesThatCheckpointsAreComputedAgain) { EXPECT_TRUE(Noticed(Sabotage::kForgetCheckpoints, false)); }

TEST_F(SimTest, NoticesCommitsThatDoNotLookAtWhatOthersChanged) {
  // Rare: two changes have to meet.
  EXPECT_TRUE(Noticed(Sabotage::kBlindCommit, false, 600));
}

TEST_F(SimTest, NoticesValuesOnTheWrongRows) { EXPECT_TRUE(Noticed(Sabotage::kSwapParts, true)); }

TEST_F(SimTest, NoticesValuesOnRowsThatACompactionPutInAnotherOrder) {
  EXPECT_TRUE(Noticed(Sabotage::kTrustOrder, false, 1000));
}

TEST_F(SimTest, NoticesThatCheckpointsOfCompactedFragmentsAreComputedAgain) {
  EXPECT_TRUE(Noticed(Sabotage::kDoubtOrder, false, 1000));
}

TEST_F(SimTest, NoticesThatDamagedCheckpointsAreUsed) { EXPECT_TRUE(Noticed(Sabotage::kIgnoreDamage, false)); }

TEST_F(SimTest, NoticesLeftoversAfterACleanup) { EXPECT_TRUE(Noticed(Sabotage::kCleanNothing, false)); }

TEST_F(SimTest, NoticesACleanupThatRemovesWhatIsInUse) { EXPECT_TRUE(Noticed(Sabotage::kCleanTooMuch, false)); }

}  // namespace
}  // namespace leman::sim
