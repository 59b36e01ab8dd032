#include "job/job_log.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "io/memory_object_store.h"
#include "io/testing/faulty_object_store.h"

namespace leman {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

class JobLogTest : public ::testing::Test {
 protected:
  JobLogTest() {
    spec_.job_id = "j1";
    spec_.refresh_status_secs = 2;
  }

  nlohmann::json Record() {
    const auto text = files_.Get("_leman/jobs/j1.json");
    return text.ok() ? nlohmann::json::parse(*text) : nlohmann::json();
  }
  void Write(bool now, JobStatus status = JobStatus::kRunning, const std::optional<Error>& error = std::nullopt) {
    log_.Write(status, metrics_, error, 0, now);
  }

  MemoryObjectStore files_;
  testing::FaultyObjectStore store_{files_};
  ManualClock clock_;
  BackfillSpec spec_;
  JobMetrics metrics_;
  JobLog log_{spec_, store_, clock_};
};

TEST_F(JobLogTest, WritesOnceARefreshPeriodUnlessAskedTo) {
  metrics_.rows_computed = 1;
  Write(false);
  EXPECT_EQ(Record()["metrics"]["rows_computed"], 1);
  metrics_.rows_computed = 2;
  clock_.AdvanceNs(kSecond);
  Write(false);
  EXPECT_EQ(Record()["metrics"]["rows_computed"], 1);
  clock_.AdvanceNs(kSecond);
  Write(false);
  EXPECT_EQ(Record()["metrics"]["rows_computed"], 2);
  metrics_.rows_computed = 3;
  Write(true);
  EXPECT_EQ(Record()["metrics"]["rows_computed"], 3);
}

TEST_F(JobLogTest, SaysThatItLivesHoweverRarelyItTellsItsFigures) {
  spec_.refresh_status_secs = 3600;
  Write(false);
  clock_.AdvanceNs(16 * kSecond);
  Write(false);
  EXPECT_EQ(Record()["updated_at"], "1970-01-01T00:00:16.000Z");
}

TEST_F(JobLogTest, TimesSayWhenItBeganAndEnded) {
  clock_.AdvanceNs(2 * kSecond);
  Write(true);
  EXPECT_EQ(Record()["launched_at"], "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(Record()["updated_at"], "1970-01-01T00:00:02.000Z");
  EXPECT_TRUE(Record()["completed_at"].is_null());
  EXPECT_EQ(Record()["metrics"]["duration_s"], 2.0);
  for (const JobStatus status : {JobStatus::kDone, JobStatus::kFailed, JobStatus::kCancelled}) {
    Write(true, status);
    EXPECT_EQ(Record()["completed_at"], "1970-01-01T00:00:02.000Z");
  }
}

TEST_F(JobLogTest, NamesTheProcessThatDrivesTheJob) {
  Write(true);
  EXPECT_EQ(Record()["driver"]["pid"], ::getpid());
  EXPECT_FALSE(Record()["driver"]["host"].get<std::string>().empty());
  EXPECT_TRUE(Record()["driver"]["start_ticks"].is_number());
}

TEST_F(JobLogTest, KeepsTheFirstEventAndTheLatest) {
  for (int i = 0; i < 500; ++i) log_.Event("event " + std::to_string(i));
  Write(true);
  const auto events = Record()["events"];
  ASSERT_EQ(events.size(), 200U);
  EXPECT_EQ(events[0]["message"], "event 0");
  EXPECT_EQ(events[1]["message"], "event 301");
  EXPECT_EQ(events[199]["message"], "event 499");
}

TEST_F(JobLogTest, ALongErrorIsCutBetweenCharacters) {
  std::string message;
  while (message.size() < 5000) message += "é";
  Write(true, JobStatus::kFailed, Error{ErrorKind::kInternal, "x" + message});
  const auto written = Record()["error"]["message"].get<std::string>();
  EXPECT_EQ(written.size(), 4095U);
  EXPECT_TRUE(written.ends_with("é"));
}

TEST_F(JobLogTest, TextThatIsNotUtf8DoesNotBreakTheRecord) {
  log_.Event("bad \xff byte");
  Write(true, JobStatus::kFailed, Error{ErrorKind::kInternal, "\xc3"});
  EXPECT_EQ(Record()["events"][0]["message"], "bad \xef\xbf\xbd byte");
  EXPECT_EQ(Record()["error"]["message"], "\xef\xbf\xbd");
}

TEST_F(JobLogTest, AnErrorHasTheNameOfItsPythonException) {
  const auto name = [](ErrorKind kind, const std::string& message) { return ErrorTypeName(Error{kind, message}); };
  EXPECT_EQ(name(ErrorKind::kUserFunction, "column 'y': ValueError"), "UserFunctionError");
  EXPECT_EQ(ErrorTypeName(Error{ErrorKind::kUserFunction, "", "WorkerCrashError"}), "WorkerCrashError");
  EXPECT_EQ(name(ErrorKind::kCancelled, "the job was cancelled"), "JobCancelledError");
  EXPECT_EQ(name(ErrorKind::kCancelled, "the job's timeout of 1 s has passed"), "JobTimeoutError");
  EXPECT_EQ(name(ErrorKind::kConflict, ""), "ConflictError");
  EXPECT_EQ(name(ErrorKind::kCorrupt, ""), "CorruptDataError");
  EXPECT_EQ(name(ErrorKind::kInternal, ""), "JobFailedError");
}

TEST_F(JobLogTest, TheFirstFailureToWriteIsRemembered) {
  int failures = 0;
  store_.set_hook([&](const std::string&, const std::string&) -> Status {
    return MakeError(ErrorKind::kResourceExhausted, "disk full ", ++failures);
  });
  EXPECT_FALSE(log_.write_error().has_value());
  Write(true);
  Write(true);
  EXPECT_EQ(log_.write_error()->message, "disk full 1");
}

TEST_F(JobLogTest, LooksForACancelRequestTwiceASecond) {
  EXPECT_FALSE(log_.CancelRequested());
  ASSERT_TRUE(files_.Put("_leman/jobs/j1.cancel", "").ok());
  EXPECT_FALSE(log_.CancelRequested());
  clock_.AdvanceNs(kSecond / 2);
  EXPECT_TRUE(log_.CancelRequested());
  log_.ClearCancelRequest();
  clock_.AdvanceNs(kSecond);
  EXPECT_FALSE(log_.CancelRequested());
}

}  // namespace
}  // namespace leman
