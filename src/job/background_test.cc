#include "job/background.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <thread>
#include <vector>

namespace leman {
namespace {

bool Readable(int fd) {
  pollfd waiting{fd, POLLIN, 0};
  return ::poll(&waiting, 1, 0) == 1;
}

TEST(LoopInbox, RingsUntilWhatWasPostedHasRun) {
  LoopInbox inbox;
  EXPECT_FALSE(Readable(inbox.fd()));
  std::vector<int> ran;
  inbox.Post([&] { ran.push_back(1); });
  inbox.Post([&] { ran.push_back(2); });
  EXPECT_TRUE(Readable(inbox.fd()));
  inbox.RunAll();
  EXPECT_EQ(ran, (std::vector<int>{1, 2}));
  EXPECT_FALSE(Readable(inbox.fd()));
  inbox.RunAll();
  EXPECT_EQ(ran.size(), 2U);
}

TEST(LoopInbox, WhatAClosurePostsRunsTheNextTime) {
  LoopInbox inbox;
  int ran = 0;
  inbox.Post([&] { inbox.Post([&] { ++ran; }); });
  inbox.RunAll();
  EXPECT_EQ(ran, 0);
  EXPECT_TRUE(Readable(inbox.fd()));
  inbox.RunAll();
  EXPECT_EQ(ran, 1);
}

TEST(LoopInbox, TakesClosuresOfManyThreads) {
  LoopInbox inbox;
  int ran = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 500; ++k) inbox.Post([&] { ++ran; });
    });
  }
  while (ran < 2000) inbox.RunAll();
  for (std::thread& thread : threads) thread.join();
}

TEST(BackgroundThreads, OneThreadRunsClosuresInOrder) {
  std::vector<int> ran;
  {
    BackgroundThreads background(1);
    for (int i = 0; i < 100; ++i) background.Post([&ran, i] { ran.push_back(i); });
  }
  ASSERT_EQ(ran.size(), 100U);
  EXPECT_TRUE(std::is_sorted(ran.begin(), ran.end()));
}

TEST(BackgroundThreads, SeveralThreadsRunClosuresAtOnce) {
  std::atomic<int> inside = 0;
  BackgroundThreads background(2);
  // Each waits for the other.
  for (int i = 0; i < 2; ++i) {
    background.Post([&] {
      ++inside;
      while (inside < 2) std::this_thread::yield();
    });
  }
}

TEST(BackgroundThreads, EndsAtOnceWithoutWork) { const BackgroundThreads background(3); }

}  // namespace
}  // namespace leman
