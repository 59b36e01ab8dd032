#include "apply/write_behind.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <vector>

namespace leman {
namespace {

TEST(WriteBehindTest, WhatIsPostedIsDoneInOrderAndBeforeTheEnd) {
  std::vector<int> done;
  {
    WriteBehind behind(100);
    for (int i = 0; i < 50; ++i) behind.Post(1, [&done, i] { done.push_back(i); });
  }
  ASSERT_EQ(done.size(), 50U);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(done[static_cast<size_t>(i)], i);
}

TEST(WriteBehindTest, WorkGoesOnWhileThePosterDoes) {
  WriteBehind behind(100);
  std::promise<void> go;
  std::atomic<bool> done = false;
  behind.Post(60, [&] {
    go.get_future().wait();
    done = true;
  });
  EXPECT_FALSE(done);
  go.set_value();
  behind.Wait();
  EXPECT_TRUE(done);
}

// What is posted and not done, whenever something begins.
std::vector<int64_t> HeldAtOnce(const std::vector<int64_t>& sizes, int64_t limit_bytes) {
  std::atomic<int64_t> posted = 0;
  std::vector<int64_t> held;
  WriteBehind behind(limit_bytes);
  int64_t done = 0;
  for (const int64_t size : sizes) {
    behind.Post(size, [&, size] {
      held.push_back(posted - done);
      done += size;
    });
    posted += size;
  }
  behind.Wait();
  return held;
}

TEST(WriteBehindTest, HoldsAtMostTwoAndNoMoreThanItsLimit) {
  for (const int64_t held : HeldAtOnce(std::vector<int64_t>(100, 1), 1000)) EXPECT_LE(held, 2);
  for (const int64_t held : HeldAtOnce(std::vector<int64_t>(100, 60), 100)) EXPECT_LE(held, 60);
  // One alone may be larger, or nothing could ever be done with it.
  for (const int64_t held : HeldAtOnce({500, 10, 500, 10}, 100)) EXPECT_LE(held, 500);
}

TEST(WriteBehindTest, WhatWorkPostsIsDoneWithinIt) {
  WriteBehind behind(100);
  std::vector<int> done;
  behind.Post(1, [&] {
    for (int i = 0; i < 5; ++i) behind.Post(1000, [&done, i] { done.push_back(i); });
    done.push_back(5);
  });
  behind.Wait();
  EXPECT_EQ(done, (std::vector<int>{0, 1, 2, 3, 4, 5}));
}

}  // namespace
}  // namespace leman
