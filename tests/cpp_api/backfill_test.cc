#include <algorithm>
#include <atomic>
#include <fstream>
#include <stdexcept>
#include <thread>

#include "fresh_database.h"

namespace {

using BackfillTest = FreshDatabase;
using number_stream::Read;

leman::BackfillOptions TwoWorkers() {
  leman::BackfillOptions options;
  options.concurrency = 2;
  return options;
}

std::vector<int64_t> Multiples(int64_t factor, int64_t rows) {
  std::vector<int64_t> values;
  for (int64_t x = 0; x < rows; ++x) values.push_back(factor * x);
  return values;
}

TEST_F(BackfillTest, FillsAColumnAndKeepsARecord) {
  const leman::Table numbers = Numbers(2500);
  numbers.AddColumn("y", Function("twice")).value();
  const leman::BackfillPlan plan = numbers.PlanBackfill("y", TwoWorkers()).value();
  EXPECT_EQ(plan.rows_total, 2500);
  EXPECT_EQ(plan.fragments, 3);
  EXPECT_NE(plan.text.find("2500 selected"), std::string::npos) << plan.text;
  const leman::BackfillResult ended = numbers.Backfill("y", TwoWorkers()).value();
  EXPECT_EQ(ended.rows_computed, 2500);
  EXPECT_EQ(ended.fragments_committed, 3);
  EXPECT_EQ(Read<int64_t>(numbers, "y"), Multiples(2, 2500));

  const leman::Job job = db().GetJob(ended.job_id).value();
  EXPECT_EQ(job.status, "DONE");
  EXPECT_EQ(job.column, "y");
  EXPECT_EQ(job.metrics.at("rows_computed"), 2500);
  EXPECT_LE(*job.launched_at, *job.completed_at);
  EXPECT_EQ(db().Jobs().value().size(), 1U);
  leman::JobsOptions failed;
  failed.status = "FAILED";
  EXPECT_TRUE(db().Jobs(failed).value().empty());
  EXPECT_FALSE(db().CancelJob(ended.job_id).value());
}

TEST_F(BackfillTest, WhatIsDoneIsNotComputedAgain) {
  const leman::Table numbers = Numbers(1000);
  numbers.AddColumn("y", Function("twice")).value();
  leman::BackfillOptions half = TwoWorkers();
  half.where = "x < 500";
  EXPECT_EQ(numbers.Backfill("y", half)->rows_computed, 500);
  EXPECT_EQ(numbers.Backfill("y", TwoWorkers())->rows_computed, 500);
  EXPECT_EQ(numbers.Backfill("y", TwoWorkers())->rows_computed, 0);
  numbers.AlterColumn("y", Function("thrice")).value();
  EXPECT_EQ(numbers.Backfill("y", TwoWorkers())->rows_computed, 1000);
  EXPECT_EQ(Read<int64_t>(numbers, "y"), Multiples(3, 1000));
}

TEST_F(BackfillTest, ABuiltinFunctionTakesParametersAndColumns) {
  const leman::Table numbers = Numbers(20);
  numbers.AddColumn("text", leman::Sql{"concat('row ', cast(x as string))"}).value();
  leman::NativeUdf words = leman::NativeUdf::Builtin("word_count");
  words.input_columns = {"text"};
  numbers.AddColumn("n_words", words).value();
  leman::Result<leman::JobId> job = numbers.Backfill("n_words", TwoWorkers());
  EXPECT_FALSE(job.value().empty());
  EXPECT_EQ(Read<int64_t>(numbers, "n_words"), std::vector<int64_t>(20, 2));
}

TEST_F(BackfillTest, AFailingRowFailsTheJobUnlessItsPolicySaysOtherwise) {
  const leman::Table numbers = Numbers(100);
  leman::NativeUdf fails = Function("odd_fails");
  numbers.AddColumn("y", fails).value();
  const leman::Error error = numbers.Backfill("y", TwoWorkers()).error();
  EXPECT_EQ(error.kind, leman::ErrorKind::kFunctionFailed);
  EXPECT_NE(error.message.find("x is odd: "), std::string::npos) << error.message;
  EXPECT_EQ(db().GetJob(error.job_id)->status, "FAILED");

  leman::OnError skip = leman::OnError::Skip();
  skip.match = "is odd";
  skip.errors = {"NativeFunctionError"};
  fails.on_error = {skip};
  fails.timeout = leman::Seconds(60);
  leman::BackfillOptions options = TwoWorkers();
  options.udf = fails;
  EXPECT_EQ(numbers.Backfill("y", options)->rows_skipped, 50);
  EXPECT_EQ(Read<int64_t>(numbers, "y").size(), 50U);
}

TEST_F(BackfillTest, RowsThatWereSkippedAreTold) {
  const leman::Table numbers = Numbers(100);
  leman::NativeUdf skips = Function("odd_fails");
  skips.on_error = {leman::OnError::Skip()};
  numbers.AddColumn("y", skips).value();
  EXPECT_TRUE(numbers.Errors()->empty());
  const leman::BackfillResult ended = numbers.Backfill("y", TwoWorkers()).value();
  EXPECT_EQ(ended.rows_skipped, 50);
  const std::vector<leman::RowError> errors = numbers.Errors().value();
  ASSERT_EQ(errors.size(), 50U);
  EXPECT_EQ(errors.front().column_name, "y");
  EXPECT_EQ(errors.front().job_id, ended.job_id);
  EXPECT_EQ(errors.front().udf_name, "odd_fails");
  EXPECT_EQ(errors.front().error_message, "x is odd: " + std::to_string(errors.front().row));
  EXPECT_EQ(errors.front().row % 2, 1);
  EXPECT_GT(errors.front().table_version.value_or(0), 0);
  leman::ErrorsOptions others;
  others.column_name = "x";
  EXPECT_TRUE(numbers.Errors(others)->empty());
  others = {};
  others.error_type = errors.front().error_type;
  others.job_id = ended.job_id;
  EXPECT_EQ(numbers.Errors(others)->size(), 50U);
  others.job_id = "a/b";
  EXPECT_EQ(numbers.Errors(others).error().type, "ValueError");
}

TEST_F(BackfillTest, SeveralColumnsAreFilledInTheOrderInWhichTheyNeedEachOther) {
  const leman::Table numbers = Numbers(1500);
  leman::NativeUdf of_y = Function("thrice");
  numbers.AddColumn("y", Function("twice")).value();
  of_y.input_columns = {"y"};
  numbers.AddColumn("z", of_y).value();
  numbers.AddColumn("w", Function("thrice")).value();
  leman::BackfillOptions options = TwoWorkers();
  std::vector<std::string> told;
  options.progress = [&](const leman::Progress& progress) {
    EXPECT_FALSE(progress.job_id.empty());
    if (told.empty() || told.back() != progress.column) told.push_back(progress.column);
  };
  const std::vector<leman::BackfillResult> ended = numbers.Backfill({"z", "w", "y"}, options).value();
  ASSERT_EQ(ended.size(), 3U);
  std::vector<std::string> order;
  for (const leman::BackfillResult& result : ended) {
    order.push_back(result.column);
    EXPECT_EQ(result.rows_computed, 1500);
  }
  EXPECT_LT(std::find(order.begin(), order.end(), "y"), std::find(order.begin(), order.end(), "z"));
  EXPECT_EQ(told, order);
  EXPECT_EQ(Read<int64_t>(numbers, "z"), Multiples(6, 1500));
  EXPECT_EQ(Read<int64_t>(numbers, "w"), Multiples(3, 1500));
  EXPECT_EQ(numbers.Backfill({"w", "y"}).value().front().rows_computed, 0);
}

TEST_F(BackfillTest, SeveralColumnsStopTogether) {
  const leman::Table numbers = Numbers(1000);
  numbers.AddColumn("y", Function("odd_fails")).value();
  numbers.AddColumn("z", Function("twice")).value();
  EXPECT_EQ(numbers.Backfill({"y", "z"}, TwoWorkers()).error().kind, leman::ErrorKind::kFunctionFailed);
  EXPECT_EQ(numbers.Backfill({"z", "missing"}).error().type, "ColumnNotFoundError");
  EXPECT_EQ(numbers.Backfill(std::vector<std::string>{}).error().type, "ValueError");
  leman::BackfillOptions named = TwoWorkers();
  named.job_id = "one";
  EXPECT_EQ(numbers.Backfill({"y", "z"}, named).error().type, "ValueError");
  leman::BackfillOptions cancelled = TwoWorkers();
  cancelled.cancel.Cancel();
  EXPECT_EQ(numbers.Backfill({"z"}, cancelled).error().kind, leman::ErrorKind::kCancelled);
}

TEST_F(BackfillTest, AFunctionOfSeveralColumnsFillsThemTogether) {
  const leman::Table numbers = Numbers(100);
  const std::vector<std::string> names = numbers.AddColumns(Function("half_and_rest"), "x_").value();
  EXPECT_EQ(names, (std::vector<std::string>{"x_half", "x_rest"}));
  const leman::BackfillResult ended = numbers.Backfill("x_rest", TwoWorkers()).value();
  EXPECT_EQ(ended.column, "x_half, x_rest");
  EXPECT_EQ(ended.rows_computed, 100);
  EXPECT_EQ(numbers.CountRows("x_half = x / 2 AND x_rest = (x % 2 = 1)").value(), 100);
  EXPECT_EQ(numbers.AddColumns(Function("twice")).error().type, "TypeError");
  numbers.DropColumns({"x_half"}).value();
  EXPECT_EQ(numbers.CountRows("x_rest").error().type, "ColumnNotFoundError");
}

TEST_F(BackfillTest, ProgressIsToldAndTheGilIsFreeMeanwhile) {
  const leman::Table numbers = Numbers(1000, 250);
  const std::filesystem::path go_on = folder_ / "go on";
  numbers.AddColumn("y", Waiting(go_on)).value();
  leman::BackfillOptions options = TwoWorkers();
  leman::Progress last;
  int calls = 0;
  options.progress = [&](const leman::Progress& progress) {
    last = progress;
    if (++calls > 1) return;
    // The job cannot end before this thread's calls do.
    std::thread([&] {
      EXPECT_EQ(db().TableNames()->size(), 1U);
      EXPECT_EQ(numbers.CountRows().value(), 1000);
      EXPECT_EQ(db().Jobs()->size(), 1U);
      std::ofstream(go_on.string()) << "x";
    }).join();
  };
  numbers.Backfill("y", options).value();
  EXPECT_GT(calls, 0);
  EXPECT_EQ(last.rows_total, 1000);
  EXPECT_LE(last.rows_computed, 1000);
  EXPECT_FALSE(last.phase.empty());
}

TEST_F(BackfillTest, ATokenCancelsAndTheSameCallResumes) {
  const leman::Table numbers = Numbers(1000, 250);
  const std::filesystem::path go_on = folder_ / "go on";
  numbers.AddColumn("y", Waiting(go_on)).value();
  leman::BackfillOptions options = TwoWorkers();
  const leman::CancelToken token = options.cancel;
  options.progress = [&](const leman::Progress& progress) {
    if (progress.rows_checkpointed >= 250) token.Cancel();
  };
  const leman::Error error = numbers.Backfill("y", options).error();
  EXPECT_EQ(error.kind, leman::ErrorKind::kCancelled);
  EXPECT_EQ(error.type, "JobCancelledError");
  EXPECT_EQ(db().GetJob(error.job_id)->status, "CANCELLED");
  std::ofstream(go_on.string()) << "x";
  const leman::BackfillResult resumed = numbers.Backfill("y", TwoWorkers()).value();
  EXPECT_LE(resumed.rows_computed, 750);
  EXPECT_EQ(Read<int64_t>(numbers, "y"), Multiples(1, 1000));
}

TEST_F(BackfillTest, AnotherConnectionCancelsByTheRecord) {
  const leman::Table numbers = Numbers(1000, 250);
  numbers.AddColumn("y", Waiting(folder_ / "never")).value();
  leman::BackfillOptions options = TwoWorkers();
  options.job_id = "blocked";
  std::atomic<bool> asked{false};
  options.progress = [&](const leman::Progress&) {
    if (asked.exchange(true)) return;
    EXPECT_TRUE(leman::Connect(db().uri())->CancelJob("blocked").value());
  };
  EXPECT_EQ(numbers.Backfill("y", options).error().kind, leman::ErrorKind::kCancelled);
}

TEST_F(BackfillTest, WhatTheCallbackThrowsStopsTheJobAndComesOut) {
  const leman::Table numbers = Numbers(1000);
  numbers.AddColumn("y", Waiting(folder_ / "never")).value();
  leman::BackfillOptions options = TwoWorkers();
  options.job_id = "thrown";
  options.progress = [](const leman::Progress&) { throw std::range_error("enough"); };
  EXPECT_THROW((void)numbers.Backfill("y", options), std::range_error);
  EXPECT_FALSE(options.cancel.cancelled());
  EXPECT_EQ(db().GetJob("thrown")->status, "CANCELLED");
}

TEST_F(BackfillTest, ATimeoutEndsIt) {
  const leman::Table numbers = Numbers(1000);
  numbers.AddColumn("y", Waiting(folder_ / "never")).value();
  leman::BackfillOptions options = TwoWorkers();
  options.timeout = std::chrono::milliseconds(300);
  EXPECT_EQ(numbers.Backfill("y", options).error().type, "JobTimeoutError");
}

}  // namespace
