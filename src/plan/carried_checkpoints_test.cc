#include "plan/carried_checkpoints.h"

#include <gtest/gtest.h>

#include "plan/planner.h"

namespace leman {
namespace {

BackfillSpec Spec() {
  BackfillSpec spec;
  spec.column = "y";
  spec.udf_version = "v1";
  spec.output_type = "int64";
  return spec;
}

FragmentInfo Fragment(int64_t id, int64_t rows) {
  return {.id = id, .physical_rows = rows, .input_identity = "in" + std::to_string(id)};
}

FragmentInfo Done(FragmentInfo fragment, DoneScope scope = DoneScope::kFull) {
  fragment.output_file = DoneFileName({scope, DoneComputation(Spec(), fragment), "0"}, "00");
  return fragment;
}

FragmentInfo Compacted(int64_t id, int64_t rows) {
  FragmentInfo fragment = Fragment(id, rows);
  fragment.output_file = "compacted" + std::to_string(id) + ".lance";
  return fragment;
}

FileHistory History(std::vector<Rewrite> rewrites) { return {Spec(), {{}, std::move(rewrites)}}; }

StoredCheckpoint Stored(const FragmentInfo& fragment, int64_t start, int64_t end) {
  const std::string key = FragmentKey(fragment, Selection::kAll, "");
  const RowRange range{fragment.id, start, end};
  return {range, key, CheckpointFileName(range, key, 7), 100};
}

std::string AllKey(const FragmentInfo& fragment) { return FragmentKey(fragment, Selection::kAll, ""); }

TEST(FollowRowsTest, DroppedRowsLeaveNoGap) {
  const RewriteSource source{Fragment(1, 10), {0, 3, 4, 9}};
  const auto runs = FollowRows(source, 100, 0, 10);
  ASSERT_EQ(runs.size(), 2U);
  EXPECT_EQ(runs[0].start, 1);
  EXPECT_EQ(runs[0].end, 3);
  EXPECT_EQ(runs[0].position, 100);
  EXPECT_EQ(runs[1].start, 5);
  EXPECT_EQ(runs[1].end, 9);
  EXPECT_EQ(runs[1].position, 102);
  EXPECT_EQ(FollowRows(source, 100, 6, 8).at(0).position, 103);
  EXPECT_TRUE(FollowRows(source, 100, 3, 5).empty());
}

TEST(CarriedCheckpointsTest, RowsAreFoundWhereACompactionPutThem) {
  const FragmentInfo first = Fragment(1, 10);
  const FragmentInfo second = Fragment(2, 10);
  const FragmentInfo now = Compacted(7, 17);
  const FileHistory history = History({{5, {{first, {2}}, {second, {0, 9}}}, {now}, true}});
  const CheckpointIndex index({Stored(first, 0, 4), Stored(second, 4, 8)});
  const auto found = UsableCheckpoints(Spec(), now, AllKey(now), index, history);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].range, (RowRange{7, 0, 3}));
  EXPECT_EQ(found[0].taken, (std::vector<RowRange>{{1, 0, 2}, {1, 3, 4}}));
  EXPECT_FALSE(IsTakenWhole(found[0]));
  EXPECT_EQ(found[1].range, (RowRange{7, 12, 16}));
  EXPECT_TRUE(IsTakenWhole(found[1])) << "no row of it was deleted";
}

TEST(CarriedCheckpointsTest, ACheckpointMayGoToTwoFragmentsAndThroughTwoCompactions) {
  const FragmentInfo first = Fragment(1, 10);
  const FragmentInfo left = Compacted(2, 6);
  const FragmentInfo right = Compacted(3, 4);
  const FragmentInfo last = Compacted(4, 3);
  const FileHistory history = History({{9, {{right, {1}}}, {last}, true}, {5, {{first, {}}}, {left, right}, true}});
  const CheckpointIndex index({Stored(first, 4, 9)});
  const auto in_left = UsableCheckpoints(Spec(), left, AllKey(left), index, history);
  ASSERT_EQ(in_left.size(), 1U);
  EXPECT_EQ(in_left[0].range, (RowRange{2, 4, 6}));
  EXPECT_EQ(in_left[0].taken, (std::vector<RowRange>{{1, 4, 6}}));
  const auto in_last = UsableCheckpoints(Spec(), last, AllKey(last), index, history);
  ASSERT_EQ(in_last.size(), 1U);
  EXPECT_EQ(in_last[0].range, (RowRange{4, 0, 2}));
  EXPECT_EQ(in_last[0].taken, (std::vector<RowRange>{{1, 6, 7}, {1, 8, 9}}));
}

TEST(CarriedCheckpointsTest, OnesOwnComeFirstAndTheOthersFillTheGaps) {
  const FragmentInfo first = Fragment(1, 10);
  const FragmentInfo now = Compacted(7, 10);
  const FileHistory history = History({{5, {{first, {}}}, {now}, true}});
  const CheckpointIndex index({Stored(first, 0, 10), Stored(now, 3, 5)});
  const auto found = UsableCheckpoints(Spec(), now, AllKey(now), index, history);
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].taken, (std::vector<RowRange>{{1, 0, 3}}));
  EXPECT_TRUE(found[1].taken.empty());
  EXPECT_EQ(found[2].range, (RowRange{7, 5, 10}));
  EXPECT_EQ(found[2].taken, (std::vector<RowRange>{{1, 5, 10}}));
}

TEST(CarriedCheckpointsTest, WithoutProofOrWithOtherInputsNothingIsCarried) {
  const FragmentInfo first = Fragment(1, 10);
  FragmentInfo now = Compacted(7, 10);
  const CheckpointIndex index({Stored(first, 0, 10)});
  const FileHistory unproven = History({{5, {{first, {}}}, {now}, false}});
  EXPECT_TRUE(OrderMatters(Spec(), History({{5, {{first, {}}}, {now}}}).rewrites()[0], index, {}));
  EXPECT_TRUE(UsableCheckpoints(Spec(), now, AllKey(now), index, unproven).empty());
  const FileHistory history = History({{5, {{first, {}}}, {now}, true}});
  now.input_identity = "rewritten since";
  EXPECT_TRUE(UsableCheckpoints(Spec(), now, AllKey(now), index, history).empty());
  FragmentInfo other = first;
  other.input_identity = "rewritten before";
  const FileHistory before = History({{5, {{other, {}}}, {Compacted(7, 10)}, true}});
  EXPECT_TRUE(UsableCheckpoints(Spec(), Compacted(7, 10), AllKey(now), index, before).empty());
}

TEST(RewrittenFragmentTest, NeedsWhatItsFragmentsNeeded) {
  const FragmentInfo done = Done(Fragment(1, 10));
  const FragmentInfo open = Fragment(2, 5);
  const FragmentInfo now = Compacted(7, 13);
  const std::vector<RewriteSource> from = {{done, {4}}, {open, {0}}};
  const auto decided = DecideFragment(Spec(), now, History({{5, from, {now}, true}}));
  EXPECT_EQ(decided.need, FragmentDecision::Need::kFilter);
  EXPECT_EQ(decided.filter, "(_rowaddr >= 30064771081 AND _rowaddr < 30064771085)");
  EXPECT_EQ(decided.scope_after, DoneScope::kFull);
  EXPECT_EQ(DecideFragment(Spec(), now, History({{5, from, {now}, false}})).need, FragmentDecision::Need::kAll);
  EXPECT_EQ(DecideFragment(Spec(), now, {}).need, FragmentDecision::Need::kAll);
  const std::vector<RewriteSource> all_done = {{done, {4}}, {Done(open), {0}}};
  EXPECT_EQ(DecideFragment(Spec(), now, History({{5, all_done, {now}}})).need, FragmentDecision::Need::kNothing);
}

TEST(RewrittenFragmentTest, WhatWasOutOfDateIsSoStill) {
  BackfillSpec spec = Spec();
  spec.done_version = "v1";
  const FragmentInfo done = Done(Fragment(1, 10));
  FragmentInfo updated = Fragment(2, 3);
  updated.output_file = "updated.lance";
  const FragmentInfo now = Compacted(7, 12);
  const TableHistory told{{{"updated.lance", true, false, {}}}, {{5, {{done, {4}}, {updated, {}}}, {now}, true}}};
  const auto decided = DecideFragment(spec, now, FileHistory(spec, told));
  EXPECT_EQ(decided.need, FragmentDecision::Need::kFilter);
  ASSERT_EQ(decided.parts.size(), 1U);
  EXPECT_EQ(decided.parts[0], (NeededRows{9, 12, ""}));
  EXPECT_TRUE(OrderMatters(spec, told.rewrites[0], {}, FileHistory(spec, told)));
  FragmentInfo replaced = now;
  replaced.input_identity = "replaced after the compaction";
  EXPECT_EQ(DecideFragment(spec, replaced, FileHistory(spec, told)).need, FragmentDecision::Need::kAll);
}

TEST(RewrittenFragmentTest, RowsWithoutAValueAreFoundInAnyOrder) {
  BackfillSpec spec = Spec();
  spec.done_version = "v1";
  const FragmentInfo now = Compacted(7, 20);
  const Rewrite rewrite{5, {{Done(Fragment(1, 10)), {}}, {Done(Fragment(2, 10), DoneScope::kPartial), {}}}, {now}};
  const FileHistory history(spec, {{}, {rewrite}});
  EXPECT_FALSE(OrderMatters(spec, rewrite, {}, history));
  EXPECT_EQ(DecideFragment(spec, now, history).filter, "`y` IS NULL");
}

TEST(RewrittenFragmentTest, AFilterOfManyPartsIsNotMade) {
  std::vector<RewriteSource> from;
  for (int64_t id = 0; id < 200; ++id) from.push_back({id % 2 == 0 ? Done(Fragment(id, 1)) : Fragment(id, 1), {}});
  const FragmentInfo now = Compacted(700, 200);
  EXPECT_EQ(DecideFragment(Spec(), now, History({{5, from, {now}, true}})).need, FragmentDecision::Need::kAll);
}

}  // namespace
}  // namespace leman
