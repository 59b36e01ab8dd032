#include "apply/call_watch.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace leman {
namespace {

class CallWatchTest : public ::testing::Test {
 protected:
  CallWatchTest() {
    options_.limit_ns = 20'000'000;
    options_.interrupt_again_ns = 5'000'000;
    options_.give_up_after_ns = 20'000'000;
  }
  static void Await(const std::atomic<int>& count, int wanted) {
    while (count < wanted) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }

  SystemClock clock_;
  CallWatch::Options options_;
  std::atomic<int> interrupted_ = 0;
  std::atomic<int> given_up_ = 0;
  CallSlot::Call last_;
  CallSlot first_{clock_};
  CallSlot second_{clock_};
  std::atomic<size_t> thread_ = 0;
};

TEST_F(CallWatchTest, ACallThatDoesNotComeBackIsInterruptedTwiceAndThenGivenUpOnce) {
  CallWatch watch(
      options_, clock_,
      [&](size_t thread, const CallSlot::Call&) {
        thread_ = thread;
        ++interrupted_;
      },
      [&](size_t, const CallSlot::Call& call) {
        last_ = call;
        ++given_up_;
      });
  watch.Add(3, first_);
  watch.Add(4, second_);
  second_.Begin(7, 2);
  Await(given_up_, 1);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(interrupted_, 2);
  EXPECT_EQ(given_up_, 1);
  EXPECT_EQ(thread_, 4U);
  EXPECT_EQ(last_.first, 7);
  EXPECT_EQ(last_.rows, 2);
  second_.End();
  second_.Begin(9, 1);  // another call, with a limit of its own
  Await(given_up_, 2);
  EXPECT_EQ(last_.first, 9);
}

TEST_F(CallWatchTest, ACallThatGoesOnToOtherRowsHasItsLimitAnew) {
  ManualClock clock;
  CallSlot slot(clock);
  options_.limit_ns = 0;  // No thread: this one looks.
  options_.give_up_after_ns = 100;
  CallWatch watch(
      options_, clock, [&](size_t, const CallSlot::Call&) {},
      [&](size_t, const CallSlot::Call& call) {
        last_ = call;
        ++given_up_;
      });
  watch.Add(0, slot);
  std::pair<int64_t, int64_t> at{0, 1};
  slot.BeginMoving(&at.first, &at.second);
  for (; at.first < 10; ++at.first) {
    watch.Look();
    clock.AdvanceNs(90);
  }
  watch.Look();
  EXPECT_EQ(given_up_, 0);
  clock.AdvanceNs(110);
  watch.Look();
  EXPECT_EQ(given_up_, 1);
  EXPECT_EQ(last_.first, 10);
  slot.End();
  watch.Look();
  EXPECT_EQ(given_up_, 1);
}

TEST_F(CallWatchTest, CallsThatComeBackInTimeAreLeftAlone) {
  options_.limit_ns = 10'000'000'000;
  {
    CallWatch watch(
        options_, clock_, [&](size_t, const CallSlot::Call&) { ++interrupted_; },
        [&](size_t, const CallSlot::Call&) { ++given_up_; });
    watch.Add(0, first_);
    for (int i = 0; i < 100; ++i) {
      first_.Begin(i, 1);
      watch.Look();
      first_.End();
      watch.Look();
    }
  }
  EXPECT_EQ(interrupted_, 0);
  EXPECT_EQ(given_up_, 0);
}

}  // namespace
}  // namespace leman
