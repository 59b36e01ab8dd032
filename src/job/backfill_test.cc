// Whole jobs: what they compute, keep, commit and tell.
#include "job/backfill.h"

#include <gtest/gtest.h>

#include <chrono>
#include <set>
#include <thread>

#include "job/testing/job_fixture.h"

namespace leman {
namespace {

using testing::Int64s;
using testing::ThreadWorker;

class BackfillTest : public testing::JobFixture {
 protected:
  // Each call takes this long.
  void MakeCallsTake(int milliseconds) {
    workers_.on_call = [milliseconds](ThreadWorker&, const Int64s&, int64_t*) {
      std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
      return Ok();
    };
  }
  // The function fails on the row with the value `x`.
  void Poison(int64_t x) {
    workers_.on_call = [x](ThreadWorker&, const Int64s& values, int64_t* failed_row) -> Status {
      for (size_t i = 0; i < values.size(); ++i) {
        if (values[i] != x) continue;
        *failed_row = static_cast<int64_t>(i);
        return MakeError(ErrorKind::kUserFunction, "ValueError: bad row");
      }
      return Ok();
    };
  }
};

TEST_F(BackfillTest, EveryRowHasItsValueAtTheEnd) {
  const JobResult result = RunToTheEnd();
  ExpectAllComputed();
  EXPECT_EQ(result.metrics.rows_total, 160);
  EXPECT_EQ(result.metrics.rows_computed, 160);
  EXPECT_EQ(result.metrics.rows_committed, 160);
  EXPECT_EQ(result.metrics.tasks_done, result.metrics.tasks_total);
  EXPECT_EQ(result.version, table_.version());
  EXPECT_EQ(workers_.rows_computed(), 160);
}

TEST_F(BackfillTest, NothingIsLeftBesideTheDataFilesAndTheRecord) {
  RunToTheEnd();
  EXPECT_EQ(FilesUnder(CheckpointFolder(spec_)), 0);
  EXPECT_EQ(FilesUnder("data"), 4);
  EXPECT_EQ(FilesUnder("_leman/jobs"), 1);
}

TEST_F(BackfillTest, ASecondRunDoesNothing) {
  RunToTheEnd();
  const int64_t version = table_.version();
  const int64_t started = workers_.started();
  const JobResult again = RunToTheEnd();
  EXPECT_EQ(again.metrics.rows_total, 0);
  EXPECT_EQ(again.fragments_done_before, 4);
  EXPECT_EQ(workers_.rows_computed(), 160);
  EXPECT_EQ(workers_.started(), started);
  EXPECT_EQ(table_.version(), version);
}

TEST_F(BackfillTest, ATableWithoutRowsIsDoneAtOnce) {
  MemoryObjectStore files;
  testing::MemoryTable empty(files);
  const JobResult result = RunBackfill(spec_, {empty, empty, files, workers_, assembler_, host_, clock_});
  EXPECT_EQ(result.status, JobStatus::kDone);
  EXPECT_EQ(workers_.started(), 0);
}

TEST_F(BackfillTest, ResumingComputesOnlyTheRowsThatNoCheckpointHolds) {
  Poison(335);
  ASSERT_EQ(Run().status, JobStatus::kFailed);
  const std::vector<int64_t> kept = CheckpointedX();
  const int64_t before = workers_.rows_computed();
  workers_.on_call = nullptr;
  const JobResult result = RunToTheEnd();
  ExpectAllComputed();
  EXPECT_FALSE(kept.empty());
  EXPECT_EQ(result.metrics.rows_resumed, static_cast<int64_t>(kept.size()));
  EXPECT_EQ(workers_.rows_computed() - before, 160 - static_cast<int64_t>(kept.size()));
  for (const int64_t x : kept) EXPECT_EQ(workers_.TimesComputed(x), 1) << x;
}

TEST_F(BackfillTest, ARowThatFailsEndsTheJobAndNamesColumnRowAndFragment) {
  Poison(217);
  const JobResult result = Run();
  ASSERT_EQ(result.status, JobStatus::kFailed);
  EXPECT_EQ(result.error->kind, ErrorKind::kUserFunction);
  EXPECT_EQ(result.error->message, "column 'y', row 17 of fragment 2: ValueError: bad row");
}

TEST_F(BackfillTest, AFailedJobReportsTheVersionOfItsLastCommit) {
  spec_.commit_granularity = 1;
  spec_.concurrency = 1;
  spec_.task_shuffle_diversity = 1;
  workers_.on_call = [this](ThreadWorker&, const Int64s& x, int64_t*) -> Status {
    if (x[0] != 330) return Ok();
    for (int i = 0; i < 1000 && !table_.Output(0)[0]; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return MakeError(ErrorKind::kUserFunction, "stop");
  };
  const JobResult result = Run();
  ASSERT_EQ(result.status, JobStatus::kFailed);
  EXPECT_EQ(result.version, table_.version());
  EXPECT_EQ(Record()["version"], table_.version());
}

TEST_F(BackfillTest, AFailedJobLeavesNoDataFileThatNobodyRefersTo) {
  Poison(335);
  ASSERT_EQ(Run().status, JobStatus::kFailed);
  EXPECT_EQ(FilesUnder("data"), 0);
}

TEST_F(BackfillTest, TheHostCanCancel) {
  MakeCallsTake(50);
  host_.on_progress = [](const JobMetrics& metrics) { return metrics.rows_computed == 0; };
  const JobResult result = Run();
  EXPECT_EQ(result.status, JobStatus::kCancelled);
  EXPECT_EQ(ErrorTypeName(*result.error), "JobCancelledError");
  EXPECT_GE(CheckpointedRows(), result.metrics.rows_computed);
  EXPECT_LT(workers_.rows_computed(), 160);
  EXPECT_EQ(Record()["status"], "CANCELLED");
}

TEST_F(BackfillTest, WhatWorkersHaveInHandIsKeptWhenTheJobIsCancelled) {
  spec_.batch_size = 2;
  spec_.checkpoint_rows.reset();
  spec_.task_rows = 40;
  MakeCallsTake(20);
  host_.on_progress = [](const JobMetrics& metrics) { return metrics.rows_in_hand < 8; };
  const JobResult result = Run();
  EXPECT_EQ(result.status, JobStatus::kCancelled);
  EXPECT_GE(result.metrics.rows_computed, 8);
  EXPECT_EQ(CheckpointedRows(), workers_.rows_computed());
  EXPECT_EQ(result.metrics.rows_computed, workers_.rows_computed());
}

TEST_F(BackfillTest, WhatOthersHaveInHandIsKeptWhenARowFails) {
  spec_.batch_size = 2;
  spec_.checkpoint_rows.reset();
  spec_.task_rows = 40;
  spec_.task_shuffle_diversity = 1;
  workers_.on_call = [](ThreadWorker&, const Int64s& x, int64_t* failed_row) -> Status {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    if (x[0] != 10) return Ok();
    *failed_row = 0;
    return MakeError(ErrorKind::kUserFunction, "ValueError: bad row");
  };
  const JobResult result = Run();
  EXPECT_EQ(result.status, JobStatus::kFailed);
  const std::vector<int64_t> kept = CheckpointedX();
  for (const int64_t x : {0, 9, 100, 105}) EXPECT_NE(std::find(kept.begin(), kept.end(), x), kept.end()) << x;
  EXPECT_EQ(result.metrics.rows_computed, static_cast<int64_t>(kept.size()));
}

TEST_F(BackfillTest, ACancelFileBesideTheRecordCancelsAndIsRemoved) {
  MakeCallsTake(100);
  spec_.refresh_status_secs = 0.05;
  bool asked = false;
  host_.on_progress = [this, &asked](const JobMetrics& metrics) {
    if (metrics.rows_computed > 0 && !std::exchange(asked, true)) (void)files_.Put("_leman/jobs/job-1.cancel", "{}");
    return true;
  };
  const JobResult result = Run();
  EXPECT_EQ(result.status, JobStatus::kCancelled);
  EXPECT_FALSE(*files_.Exists("_leman/jobs/job-1.cancel"));
}

TEST_F(BackfillTest, ACancelFileOfAnEarlierRunIsRemovedAndDoesNotCancel) {
  ASSERT_TRUE(files_.Put("_leman/jobs/job-1.cancel", "{}").ok());
  RunToTheEnd();
  EXPECT_FALSE(*files_.Exists("_leman/jobs/job-1.cancel"));
}

TEST_F(BackfillTest, AJobEndsWithinItsTimeout) {
  MakeCallsTake(200);
  spec_.timeout_s = 0.3;
  const JobResult result = Run();
  EXPECT_EQ(result.status, JobStatus::kCancelled);
  EXPECT_EQ(ErrorTypeName(*result.error), "JobTimeoutError");
  EXPECT_LT(result.duration_s, 2.0);
}

TEST_F(BackfillTest, CommitsComeByGranularity) {
  spec_.commit_granularity = 2;
  spec_.concurrency = 1;
  spec_.task_shuffle_diversity = 1;
  MakeCallsTake(20);
  const JobResult result = RunToTheEnd();
  EXPECT_EQ(result.metrics.commits, 2);
  ExpectAllComputed();
}

TEST_F(BackfillTest, WithoutGranularityThereIsOneCommit) {
  spec_.commit_granularity = std::nullopt;
  EXPECT_EQ(RunToTheEnd().metrics.commits, 1);
}

TEST_F(BackfillTest, PartialCommitsAreVisibleWhileTheJobRuns) {
  spec_.commit_granularity = 1;
  spec_.concurrency = 1;
  spec_.task_shuffle_diversity = 1;
  std::atomic<bool> seen = false;
  workers_.on_call = [&](ThreadWorker&, const Int64s& x, int64_t*) {
    if (x[0] != 330) return Ok();
    for (int i = 0; i < 1000 && !seen; ++i) {
      seen = table_.Output(0)[0] == 1000;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return Ok();
  };
  RunToTheEnd();
  EXPECT_TRUE(seen);
}

TEST_F(BackfillTest, AFragmentWhoseInputIsRewrittenMeanwhileEndsWithValuesOfTheNewInput) {
  spec_.commit_granularity = std::nullopt;
  std::atomic<bool> done = false;
  assembler_.before = [&](int64_t fragment) {
    if (fragment == 2 && !done.exchange(true)) table_.RewriteInput(2, Sequence(5000, 40));
    return Ok();
  };
  const JobResult result = RunToTheEnd();
  EXPECT_EQ(table_.Output(2), Sequence(6000, 40));
  EXPECT_EQ(table_.Output(1), Sequence(1100, 40));
  EXPECT_EQ(workers_.TimesComputed(100), 1);
  EXPECT_EQ(result.metrics.fragments_committed, 4);
  EXPECT_EQ(result.metrics.fragments_total, 4);
  EXPECT_EQ(result.metrics.rows_committed, result.metrics.rows_total);
  EXPECT_EQ(FilesUnder("data"), 4);
}

TEST_F(BackfillTest, ALostAnswerToACommitIsLookedUp) {
  table_.FailNextCommit(ErrorKind::kUnknownOutcome, true);
  const JobResult result = RunToTheEnd();
  ExpectAllComputed();
  EXPECT_EQ(result.version, table_.version());
  EXPECT_EQ(result.metrics.commits, 1);
}

TEST_F(BackfillTest, ThatAColumnIsDoneIsSaidAgainWhereTheAnswerIsLost) {
  table_.FailMarks(ErrorKind::kUnknownOutcome, 2);
  RunToTheEnd();
  EXPECT_EQ(table_.done_version(), spec_.udf_version);
}

TEST_F(BackfillTest, AJobWhoseValuesAreAllThereIsDoneThoughItCannotBeSaid) {
  table_.FailMarks(ErrorKind::kRetryable, 100);
  RunToTheEnd();
  ExpectAllComputed();
  EXPECT_EQ(table_.done_version(), "");
  EXPECT_NE(Record().dump().find("does not say that the job is done"), std::string::npos);
}

TEST_F(BackfillTest, ARefusedCommitFailsTheJobAndKeepsTheCheckpoints) {
  table_.FailNextCommit(ErrorKind::kInvalidArgument, false);
  ASSERT_EQ(Run().status, JobStatus::kFailed);
  EXPECT_EQ(CheckpointedRows(), 160);
  const JobResult again = RunToTheEnd();
  EXPECT_EQ(again.metrics.rows_computed, 0);
  EXPECT_EQ(again.metrics.rows_resumed, 160);
  ExpectAllComputed();
}

TEST_F(BackfillTest, AppendsAndDeletesDuringTheJobStay) {
  std::atomic<bool> done = false;
  workers_.on_call = [&](ThreadWorker&, const Int64s&, int64_t*) {
    if (!done.exchange(true)) {
      table_.AddFragment(9, Sequence(900, 5));
      table_.DeleteRow(3, 7);
    }
    return Ok();
  };
  RunToTheEnd();
  for (int64_t id = 0; id < 3; ++id) EXPECT_EQ(table_.Output(id)[39], 1000 + 100 * id + 39);
  EXPECT_EQ(table_.Output(9), Int64s(5));
  EXPECT_EQ(RunToTheEnd().metrics.rows_computed, 5);
  EXPECT_EQ(table_.Output(9), Sequence(1900, 5));
}

TEST_F(BackfillTest, DeletedRowsAreNotComputed) {
  table_.DeleteRow(1, 5);
  EXPECT_EQ(RunToTheEnd().metrics.rows_computed, 159);
  EXPECT_EQ(workers_.TimesComputed(105), 0);
  EXPECT_EQ(table_.Output(1)[5], std::nullopt);
}

TEST_F(BackfillTest, AFilterSelectsRowsAndTheOthersKeepTheirValue) {
  RunToTheEnd();
  spec_.udf_version = "v2";
  spec_.where = "x is odd";
  workers_.on_call = nullptr;
  const JobResult result = RunToTheEnd();
  EXPECT_EQ(result.metrics.rows_total, 80);
  EXPECT_EQ(result.metrics.rows_computed, 80);
  ExpectAllComputed();
  EXPECT_EQ(workers_.TimesComputed(100), 1);
  EXPECT_EQ(workers_.TimesComputed(101), 2);
  EXPECT_EQ(RunToTheEnd().metrics.rows_total, 0);
}

TEST_F(BackfillTest, AFilterOnAColumnWithoutValuesLeavesTheOtherRowsNullAndAPlainRunFillsThem) {
  spec_.where = "x is odd";
  RunToTheEnd();
  EXPECT_EQ(table_.Output(0)[1], 1001);
  EXPECT_EQ(table_.Output(0)[2], std::nullopt);
  spec_.where.reset();
  EXPECT_EQ(RunToTheEnd().metrics.rows_computed, 80);
  ExpectAllComputed();
  EXPECT_EQ(workers_.rows_computed(), 160);
}

TEST_F(BackfillTest, SeveralThreadsOfOneWorkerShareItsTasks) {
  spec_.concurrency = 1;
  spec_.intra_applier_concurrency = 3;
  MakeCallsTake(5);
  RunToTheEnd();
  ExpectAllComputed();
  EXPECT_EQ(workers_.started(), 1);
  EXPECT_EQ(workers_.rows_computed(), 160);
}

TEST_F(BackfillTest, ASlowTaskIsSplitForWorkersThatIdle) {
  spec_.num_frags = 1;
  spec_.task_rows = 40;
  spec_.batch_size = 1;
  spec_.checkpoint_rows.reset();
  spec_.concurrency = 4;
  std::mutex mutex;
  std::set<WorkerId> used;
  workers_.on_call = [&](ThreadWorker& worker, const Int64s&, int64_t*) {
    std::this_thread::sleep_for(std::chrono::milliseconds(40));
    const std::lock_guard lock(mutex);
    used.insert(worker.id());
    return Ok();
  };
  const JobResult result = RunToTheEnd();
  EXPECT_GT(used.size(), 1U);
  EXPECT_GT(result.metrics.tasks_done, 1);
  EXPECT_EQ(result.metrics.tasks_total, result.metrics.tasks_done);
  EXPECT_EQ(workers_.rows_computed(), 40);
  EXPECT_EQ(table_.Output(0), Sequence(1000, 40));
}

TEST_F(BackfillTest, ManySmallFragmentsShareTasks) {
  spec_.task_rows = 1000;
  spec_.checkpoint_rows.reset();
  const JobResult result = RunToTheEnd();
  EXPECT_EQ(result.metrics.tasks_total, 1);
  EXPECT_EQ(result.metrics.checkpoints_written, 4);
  ExpectAllComputed();
}

TEST_F(BackfillTest, TheRecordTellsHowTheJobWent) {
  const JobResult result = RunToTheEnd();
  const nlohmann::json record = Record();
  EXPECT_EQ(record["format"], 1);
  EXPECT_EQ(record["job_id"], "job-1");
  EXPECT_EQ(record["table_name"], "t");
  EXPECT_EQ(record["column"], "y");
  EXPECT_EQ(record["status"], "DONE");
  EXPECT_EQ(record["read_version"], spec_.read_version);
  EXPECT_EQ(record["version"], result.version);
  EXPECT_EQ(record["udf_name"], "add_thousand");
  EXPECT_EQ(record["udf_version"], "v1");
  EXPECT_TRUE(record["where"].is_null());
  EXPECT_TRUE(record["error"].is_null());
  EXPECT_TRUE(record["completed_at"].is_string());
  EXPECT_EQ(record["metrics"]["rows_total"], 160);
  EXPECT_EQ(record["metrics"]["rows_committed"], 160);
  EXPECT_EQ(record["metrics"]["fragments_committed"], 4);
  EXPECT_EQ(record["events"][0]["message"], "job started");
  EXPECT_EQ(record["events"].back()["message"], "job completed");
  EXPECT_EQ(host_.phases.back(), "finished");
}

TEST_F(BackfillTest, TheRecordShowsAJobThatRuns) {
  spec_.refresh_status_secs = 0;
  MakeCallsTake(20);
  std::string status;
  bool progress = false;
  host_.on_progress = [&](const JobMetrics&) {
    const nlohmann::json record = Record();
    if (record["status"] == "RUNNING") {
      status = record["status"];
      progress = progress || record["metrics"]["rows_computed"] > 0;
      EXPECT_TRUE(record["completed_at"].is_null());
    }
    return true;
  };
  RunToTheEnd();
  EXPECT_EQ(status, "RUNNING");
  EXPECT_TRUE(progress);
}

TEST_F(BackfillTest, TheVersionOfARunningJobNeverGoesBackAfterAConflict) {
  spec_.refresh_status_secs = 0;
  spec_.commit_granularity = std::nullopt;
  MakeCallsTake(20);
  std::atomic<bool> done = false;
  assembler_.before = [&](int64_t fragment) {
    if (fragment == 2 && !done.exchange(true)) table_.RewriteInput(2, Sequence(5000, 40));
    return Ok();
  };
  int64_t last = 0;
  host_.on_progress = [&](const JobMetrics&) {
    const nlohmann::json record = Record();
    const int64_t version = record["version"].is_null() ? 0 : record["version"].get<int64_t>();
    EXPECT_GE(version, last);
    last = version;
    EXPECT_EQ(record["read_version"], spec_.read_version);
    return true;
  };
  RunToTheEnd();
}

TEST_F(BackfillTest, ARecordThatCannotBeWrittenDoesNotEndTheJob) {
  spec_.refresh_status_secs = 0;
  driver_files_.set_hook([](const std::string& operation, const std::string& key) -> Status {
    if (operation == "Put" && key.starts_with("_leman/jobs/")) return MakeError(ErrorKind::kResourceExhausted, "full");
    return Ok();
  });
  RunToTheEnd();
  ExpectAllComputed();
}

TEST_F(BackfillTest, ACheckpointThatVanishesIsComputedAgain) {
  std::atomic<bool> done = false;
  assembler_.before = [&](int64_t fragment) {
    if (fragment != 1 || done.exchange(true)) return Ok();
    const auto listed = files_.List(CheckpointFolder(spec_));
    for (const ObjectMeta& object : *listed) {
      if (object.name.starts_with("1-")) (void)files_.Delete(CheckpointFolder(spec_) + "/" + object.name);
    }
    return Ok();
  };
  RunToTheEnd();
  ExpectAllComputed();
  EXPECT_EQ(workers_.TimesComputed(100), 2);
  EXPECT_EQ(workers_.TimesComputed(200), 1);
}

TEST_F(BackfillTest, ACorruptCheckpointIsDiscardedAndItsRowsComputedAgain) {
  std::atomic<bool> done = false;
  assembler_.before = [&](int64_t fragment) {
    if (fragment != 1 || done.exchange(true)) return Ok();
    const auto listed = files_.List(CheckpointFolder(spec_));
    for (const ObjectMeta& object : *listed) {
      if (object.name.starts_with("1-") && object.name.find("-10-20-") != std::string::npos) {
        (void)files_.Put(CheckpointFolder(spec_) + "/" + object.name, "torn");
      }
    }
    return Ok();
  };
  RunToTheEnd();
  ExpectAllComputed();
  EXPECT_EQ(workers_.TimesComputed(110), 2);
  EXPECT_EQ(workers_.TimesComputed(100), 1);
}

TEST_F(BackfillTest, SeveralCorruptCheckpointsOfOneFragmentAreDiscardedOneByOne) {
  std::atomic<bool> done = false;
  assembler_.before = [&](int64_t fragment) {
    if (fragment != 1 || done.exchange(true)) return Ok();
    const auto listed = files_.List(CheckpointFolder(spec_));
    for (const ObjectMeta& object : *listed) {
      if (object.name.starts_with("1-")) (void)files_.Put(CheckpointFolder(spec_) + "/" + object.name, "torn");
    }
    return Ok();
  };
  RunToTheEnd();
  ExpectAllComputed();
  EXPECT_EQ(workers_.TimesComputed(100), 2);
  EXPECT_EQ(workers_.TimesComputed(200), 1);
}

TEST_F(BackfillTest, CheckpointsThatAreFoundCorruptAgainFailTheJob) {
  assembler_.before = [](int64_t fragment) -> Status {
    return fragment == 1 ? Status(MakeError(ErrorKind::kCorrupt, "not a file")) : Ok();
  };
  const JobResult result = Run();
  EXPECT_EQ(result.status, JobStatus::kFailed);
  EXPECT_EQ(ErrorTypeName(*result.error), "CorruptDataError");
  EXPECT_EQ(workers_.TimesComputed(100), 2);
}

TEST_F(BackfillTest, AnAssemblyThatFailsFailsTheJob) {
  assembler_.before = [](int64_t) -> Status { return MakeError(ErrorKind::kResourceExhausted, "disk full"); };
  const JobResult result = Run();
  EXPECT_EQ(result.status, JobStatus::kFailed);
  EXPECT_NE(result.error->message.find("disk full"), std::string::npos);
}

TEST_F(BackfillTest, ACancelledJobDoesNotWaitForAssembliesThatHaveNotBegun) {
  std::atomic<int> begun = 0;
  assembler_.before = [&](int64_t) {
    ++begun;
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    return Ok();
  };
  host_.on_progress = [](const JobMetrics& metrics) { return metrics.rows_computed < 160; };
  EXPECT_EQ(Run().status, JobStatus::kCancelled);
  EXPECT_LT(begun, 4);
}

TEST_F(BackfillTest, TheEndOfAJobLeavesTheTemporaryFilesOfOthersAlone) {
  const std::string other = CheckpointFolder(spec_) + "/tmp-other-1";
  ASSERT_TRUE(files_.Put(other, "being written").ok());
  RunToTheEnd();
  EXPECT_TRUE(*files_.Exists(other));
}

}  // namespace
}  // namespace leman
