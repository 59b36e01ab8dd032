#include "apply/memory_budget.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace leman {
namespace {

constexpr int64_t kMiB = 1 << 20;

// Calls of a function that takes `each_call` + rows * `each_row` for as long as it runs, by the rule of the cutter: up
// to eight times as many rows as before, at most `most`. Returns the greatest height.
int64_t Height(MemoryBudget& budget, int64_t base, int64_t each_call, int64_t each_row, int64_t most, int64_t* last) {
  int64_t height = 0;
  int64_t rows = 1;
  for (int i = 0; i < 20; ++i) {
    const int64_t allowed = budget.RowsFor(std::min(rows, most), base);
    height = std::max(height, base + each_call + allowed * each_row);
    budget.OnCalls(allowed, each_call + allowed * each_row, base);
    *last = allowed;
    rows = allowed * 8;
  }
  return height;
}

TEST(MemoryBudget, CallsGetAsManyRowsAsFit) {
  MemoryBudget budget(400 * kMiB);
  int64_t last = 0;
  EXPECT_LE(Height(budget, 100 * kMiB, 0, kMiB, 10240, &last), 400 * kMiB);
  EXPECT_GT(last, 200);
}

TEST(MemoryBudget, WhatEveryCallTakesIsNotTakenForItsRows) {
  MemoryBudget budget(400 * kMiB);
  int64_t last = 0;
  EXPECT_LE(Height(budget, 100 * kMiB, 100 * kMiB, kMiB / 100, 10240, &last), 400 * kMiB);
  EXPECT_EQ(last, 10240);
}

TEST(MemoryBudget, SmallCallsAreNeverShrunk) {
  MemoryBudget budget(400 * kMiB);
  int64_t last = 0;
  Height(budget, 100 * kMiB, 0, 1024, 10240, &last);
  EXPECT_EQ(last, 10240);
}

TEST(MemoryBudget, WhatTheFirstCallLoadsIsNoLeakAndNoCostOfARow) {
  MemoryBudget budget(1000 * kMiB);
  budget.OnCalls(1, 950 * kMiB, 950 * kMiB);
  EXPECT_FALSE(budget.Crowded(960 * kMiB));
  EXPECT_EQ(budget.RowsFor(100, 950 * kMiB), 100);
  budget.OnCalls(100, 100 * kMiB, 950 * kMiB);
  EXPECT_EQ(budget.RowsFor(800, 950 * kMiB), 250);  // Room of a quarter, though there is none.
}

TEST(MemoryBudget, WhatGrowsIsCrowdedBeforeTheBudgetIsMet) {
  MemoryBudget budget(400 * kMiB);
  int64_t used = 100 * kMiB;
  int calls = 0;
  for (; !budget.Crowded(used); ++calls) {
    used += 50 * kMiB;
    budget.OnCalls(100, 50 * kMiB, used);
    ASSERT_LT(used, 400 * kMiB);
  }
  EXPECT_GT(calls, 2);
}

TEST(MemoryBudget, ThreadsShareTheRoom) {
  MemoryBudget one(400 * kMiB);
  MemoryBudget four(400 * kMiB, 4);
  for (MemoryBudget* budget : {&one, &four}) {
    budget->OnCalls(1, 0, 100 * kMiB);
    budget->OnCalls(10, 10 * kMiB, 100 * kMiB);
  }
  EXPECT_EQ(one.RowsFor(1000, 100 * kMiB), 240);
  EXPECT_EQ(four.RowsFor(1000, 100 * kMiB), 60);
}

TEST(MemoryBudget, ACallHasARow) {
  MemoryBudget budget(100 * kMiB);
  budget.OnCalls(1, 0, 10 * kMiB);
  budget.OnCalls(10, 1000 * kMiB, 10 * kMiB);
  EXPECT_EQ(budget.RowsFor(1000, 10 * kMiB), 1);
}

}  // namespace
}  // namespace leman
