#include "plan/planner.h"

#include <gtest/gtest.h>

#include <set>

#include "plan/plan_printer.h"
#include "plan/task_size.h"

namespace leman {
namespace {

BackfillSpec Spec() {
  BackfillSpec spec;
  spec.column = "y";
  spec.udf_version = "v1";
  spec.output_type = "int64";
  spec.done_version = "v1";
  spec.concurrency = 2;
  return spec;
}

std::vector<FragmentInfo> Fragments(int64_t count, int64_t rows) {
  std::vector<FragmentInfo> fragments;
  for (int64_t id = 0; id < count; ++id) {
    fragments.push_back({.id = id, .physical_rows = rows, .input_identity = "in" + std::to_string(id)});
  }
  return fragments;
}

FragmentInfo DoneBy(const BackfillSpec& spec, FragmentInfo fragment, DoneScope scope) {
  fragment.output_file = DoneFileName({scope, DoneComputation(spec, fragment), DoneWhere(spec, fragment)}, "00");
  return fragment;
}

int64_t RowsIn(const std::vector<Task>& tasks) {
  int64_t sum = 0;
  for (const Task& task : tasks) sum += task.rows();
  return sum;
}

TEST(Planner, EveryRowIsInExactlyOneTask) {
  const Plan plan = MakePlan(Spec(), Fragments(3, 1000), {}, {});
  EXPECT_EQ(plan.rows_total, 3000);
  EXPECT_EQ(RowsIn(plan.tasks), 3000);
  std::set<std::pair<int64_t, int64_t>> seen;
  for (const Task& task : plan.tasks) {
    for (const RowRange& piece : task.pieces) {
      for (int64_t row = piece.start; row < piece.end; ++row) EXPECT_TRUE(seen.emplace(piece.fragment_id, row).second);
    }
  }
}

TEST(Planner, CheckpointedRowsAreNotPlannedAgain) {
  const auto fragments = Fragments(1, 1000);
  const std::string key = FragmentKey(fragments[0], Selection::kAll, "");
  const CheckpointIndex index({{RowRange{0, 0, 400}, key, "a", 1}, {RowRange{0, 600, 1000}, key, "b", 1}});
  const Plan plan = MakePlan(Spec(), fragments, {}, index);
  EXPECT_EQ(RowsIn(plan.tasks), 200);
  EXPECT_EQ(plan.rows_resumed, 800);
  EXPECT_FALSE(plan.fragments[0].complete());
}

TEST(Planner, AFragmentWithAllItsCheckpointsNeedsNoTask) {
  const auto fragments = Fragments(1, 1000);
  const CheckpointIndex index({{RowRange{0, 0, 1000}, FragmentKey(fragments[0], Selection::kAll, ""), "a", 1}});
  const Plan plan = MakePlan(Spec(), fragments, {}, index);
  EXPECT_TRUE(plan.tasks.empty());
  EXPECT_TRUE(plan.fragments[0].complete());
  EXPECT_EQ(plan.workers, 0);
}

TEST(Planner, ADoneFragmentIsLeftAlone) {
  auto fragments = Fragments(2, 10);
  fragments[0] = DoneBy(Spec(), fragments[0], DoneScope::kFull);
  const Plan plan = MakePlan(Spec(), fragments, {}, {});
  EXPECT_EQ(plan.fragments_done, 1);
  ASSERT_EQ(plan.fragments.size(), 1U);
  EXPECT_EQ(plan.fragments[0].fragment.id, 1);
}

TEST(Planner, ANewUdfVersionComputesEverythingAgain) {
  const FragmentInfo done = DoneBy(Spec(), Fragments(1, 10)[0], DoneScope::kFull);
  BackfillSpec next = Spec();
  next.udf_version = "v2";
  EXPECT_EQ(DecideFragment(next, done).need, FragmentDecision::Need::kAll);
}

TEST(Planner, RewrittenInputsComputeTheFragmentAgain) {
  FragmentInfo done = DoneBy(Spec(), Fragments(1, 10)[0], DoneScope::kFull);
  done.input_identity = "rewritten";
  EXPECT_EQ(DecideFragment(Spec(), done).need, FragmentDecision::Need::kAll);
}

TEST(Planner, AfterAFilteredRunAPlainOneComputesTheNulls) {
  const FragmentInfo partial = DoneBy(Spec(), Fragments(1, 10)[0], DoneScope::kPartial);
  const FragmentDecision decision = DecideFragment(Spec(), partial);
  EXPECT_EQ(decision.need, FragmentDecision::Need::kFilter);
  EXPECT_EQ(decision.filter, "`y` IS NULL");
  EXPECT_EQ(decision.scope_after, DoneScope::kFull);
  const FragmentInfo mixed = DoneBy(Spec(), Fragments(1, 10)[0], DoneScope::kMixed);
  EXPECT_EQ(DecideFragment(Spec(), mixed).need, FragmentDecision::Need::kAll);
}

TEST(Planner, ARowOfSeveralColumnsIsNullWhereAllAre) {
  BackfillSpec spec = Spec();
  spec.column = "a, b";
  spec.columns = {"a", "b"};
  const auto decided = DecideFragment(spec, DoneBy(spec, Fragments(1, 10)[0], DoneScope::kPartial));
  EXPECT_EQ(decided.filter, "`a` IS NULL AND `b` IS NULL");
}

TEST(Planner, FilesOfOtherToolsAreJudgedByTheirNulls) {
  FragmentInfo foreign = Fragments(1, 10)[0];
  foreign.output_file = "0101.lance";
  EXPECT_EQ(DecideFragment(Spec(), foreign).need, FragmentDecision::Need::kFilter);
  BackfillSpec altered = Spec();
  altered.udf_version = "v2";
  EXPECT_EQ(DecideFragment(altered, foreign).need, FragmentDecision::Need::kAll);
}

TEST(Planner, TheSameFilterIsNotComputedTwice) {
  BackfillSpec spec = Spec();
  spec.where = "x > 5";
  const FragmentInfo done = DoneBy(spec, Fragments(1, 10)[0], DoneScope::kPartial);
  EXPECT_EQ(DecideFragment(spec, done).need, FragmentDecision::Need::kNothing);
  spec.where_reads_output = true;
  EXPECT_EQ(DecideFragment(spec, done).need, FragmentDecision::Need::kFilter);
}

TEST(Planner, ListedRowsAreComputedAloneAndKeepTheFragmentsScope) {
  BackfillSpec spec = Spec();
  spec.only_rows = {{1, {3, 7}}};
  std::vector<FragmentInfo> fragments = Fragments(3, 10);
  for (FragmentInfo& fragment : fragments) fragment = DoneBy(Spec(), fragment, DoneScope::kFull);
  const Plan plan = MakePlan(spec, fragments, {{1, 2}}, CheckpointIndex(std::vector<StoredCheckpoint>{}));
  ASSERT_EQ(plan.fragments.size(), 1U);
  EXPECT_EQ(plan.fragments[0].fragment.id, 1);
  EXPECT_EQ(plan.fragments[0].only_rows, (std::vector<int64_t>{3, 7}));
  EXPECT_EQ(plan.fragments[0].filter, "`y` IS NULL");
  EXPECT_EQ(plan.fragments[0].record.scope, DoneScope::kFull);
  EXPECT_EQ(plan.rows_total, 2);
  spec.only_rows = {{1, {3, 8}}};
  const Plan other = MakePlan(spec, fragments, {{1, 2}}, CheckpointIndex(std::vector<StoredCheckpoint>{}));
  EXPECT_NE(other.fragments[0].fragment_key, plan.fragments[0].fragment_key);
}

TEST(Planner, AFilterOverOldValuesLeavesAMixedFragment) {
  BackfillSpec next = Spec();
  next.udf_version = "v2";
  next.where = "x > 5";
  const FragmentInfo old = DoneBy(Spec(), Fragments(1, 10)[0], DoneScope::kFull);
  EXPECT_EQ(DecideFragment(next, old).scope_after, DoneScope::kMixed);
  EXPECT_EQ(DecideFragment(next, Fragments(1, 10)[0]).scope_after, DoneScope::kPartial);
}

TEST(Planner, FragmentsWithoutSelectedRowsAreNotTouched) {
  BackfillSpec spec = Spec();
  spec.where = "x > 5";
  const Plan plan = MakePlan(spec, Fragments(3, 100), {{1, 7}}, {});
  ASSERT_EQ(plan.fragments.size(), 1U);
  EXPECT_EQ(plan.fragments[0].fragment.id, 1);
  EXPECT_EQ(plan.rows_total, 7);
}

TEST(Planner, SkipAndNumFragsSelectInTableOrder) {
  BackfillSpec spec = Spec();
  spec.skip_frags = 2;
  spec.num_frags = 3;
  const Plan plan = MakePlan(spec, Fragments(10, 10), {}, {});
  ASSERT_EQ(plan.fragments.size(), 3U);
  EXPECT_EQ(plan.fragments[0].fragment.id, 2);
  EXPECT_EQ(plan.fragments_outside, 7);
  spec.skip_frags = 100;
  EXPECT_TRUE(MakePlan(spec, Fragments(10, 10), {}, {}).fragments.empty());
}

TEST(Planner, TasksOfSeveralFragmentsAreInterleaved) {
  BackfillSpec spec = Spec();
  spec.task_rows = 20000;
  spec.task_shuffle_diversity = 2;
  const Plan plan = MakePlan(spec, Fragments(3, 40000), {}, {});
  std::vector<int64_t> order;
  for (const Task& task : plan.tasks) order.push_back(task.pieces[0].fragment_id);
  EXPECT_EQ(order, (std::vector<int64_t>{0, 1, 0, 1, 2, 2}));
  spec.task_shuffle_diversity = 1;
  order.clear();
  for (const Task& task : MakePlan(spec, Fragments(2, 40000), {}, {}).tasks)
    order.push_back(task.pieces[0].fragment_id);
  EXPECT_EQ(order, (std::vector<int64_t>{0, 0, 1, 1}));
}

TEST(Planner, SmallFragmentsShareATask) {
  BackfillSpec spec = Spec();
  const Plan plan = MakePlan(spec, Fragments(10000, 100), {}, {});
  EXPECT_LE(plan.tasks.size(), 120U);
  EXPECT_EQ(RowsIn(plan.tasks), 1000000);
}

TEST(Planner, StartsNoMoreWorkersThanTasks) {
  BackfillSpec spec = Spec();
  spec.concurrency = 8;
  spec.task_rows = 1000;
  EXPECT_EQ(MakePlan(spec, Fragments(1, 1000), {}, {}).workers, 1);
}

TEST(Planner, DeletedFragmentsAndEmptyTablesNeedNothing) {
  auto fragments = Fragments(1, 10);
  fragments[0].deleted_rows = 10;
  EXPECT_TRUE(MakePlan(Spec(), fragments, {}, {}).tasks.empty());
  EXPECT_TRUE(MakePlan(Spec(), {}, {}, {}).tasks.empty());
}

TEST(TaskSize, IsTheCallersOrAnEqualShareOfAtLeastOneBatch) {
  BackfillSpec spec = Spec();
  EXPECT_EQ(TaskRows(spec, 100000), 50000);
  EXPECT_EQ(TaskRows(spec, 100), 10240);
  spec.task_rows = 7;
  EXPECT_EQ(TaskRows(spec, 1000), 7);
}

TEST(PlanPrinter, WarnsWhereFragmentsAreFewerThanWorkers) {
  BackfillSpec spec = Spec();
  const Plan one = MakePlan(spec, Fragments(1, 1000), {}, {});
  EXPECT_NE(PrintPlan(spec, one).find("fragment(s) to fill for 2 workers"), std::string::npos);
  EXPECT_EQ(FragmentAdvice(spec, MakePlan(spec, Fragments(2, 1000), {}, {})), "");
}

TEST(PlannerTest, AnUpdatePutsOutOfDateWhatItCopiedWithOtherInputs) {
  const BackfillSpec spec = Spec();
  const FragmentInfo empty = Fragments(1, 10)[0];
  const FragmentInfo recorded = DoneBy(spec, empty, DoneScope::kFull);
  FragmentInfo foreign = empty;
  foreign.output_file = "other.lance";
  FragmentInfo replaced = recorded;
  replaced.input_identity = "another";
  EXPECT_TRUE(IsOutdated(spec, {"f", true, false, {recorded}}));
  EXPECT_FALSE(IsOutdated(spec, {"f", true, true, {recorded}})) << "somebody set the value by hand";
  EXPECT_FALSE(IsOutdated(spec, {"f", false, false, {recorded, empty}}));
  EXPECT_TRUE(IsOutdated(spec, {"f", false, false, {recorded, foreign}})) << "an earlier update may have set an input";
  EXPECT_TRUE(IsOutdated(spec, {"f", false, false, {replaced}})) << "its input was replaced before the update";
  EXPECT_TRUE(IsOutdated(spec, {"f", false, false, {}, false}));
}

TEST(PlannerTest, WhatAnUpdateCopiedAlongIsComputedAgain) {
  BackfillSpec spec;
  spec.column = "y";
  spec.udf_version = "v1";
  FragmentInfo fragment{.id = 3, .physical_rows = 10, .input_identity = "u.lance", .output_file = "u.lance"};
  EXPECT_FALSE(NeedsHistory(spec, fragment)) << "values of an unknown version are computed again anyway";
  spec.done_version = "v1";
  EXPECT_TRUE(NeedsHistory(spec, fragment));
  EXPECT_EQ(DecideFragment(spec, fragment).filter, "`y` IS NULL");
  const FileHistory history(spec, {{{"u.lance", true, false, {}}}, {}});
  EXPECT_EQ(DecideFragment(spec, fragment, history).need, FragmentDecision::Need::kAll);
  const Plan plan = MakePlan(spec, {fragment}, {}, {}, history);
  ASSERT_EQ(plan.fragments.size(), 1U);
  EXPECT_EQ(plan.fragments[0].selection, Selection::kAll);
  fragment.output_file = DoneFileName({DoneScope::kFull, DoneComputation(spec, fragment), "0"}, "0123456789ab");
  EXPECT_FALSE(NeedsHistory(spec, fragment)) << "a record knows";
  EXPECT_EQ(DecideFragment(spec, fragment).need, FragmentDecision::Need::kNothing);
  fragment.output_file = "u.lance";
  spec.where = "x > 1";
  EXPECT_FALSE(NeedsHistory(spec, fragment)) << "a filter says itself what is computed";
}

}  // namespace
}  // namespace leman
