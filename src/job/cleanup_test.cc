#include "job/cleanup.h"

#include <gtest/gtest.h>

#include "io/memory_object_store.h"
#include "io/testing/faulty_object_store.h"
#include "model/backfill_spec.h"
#include "model/checkpoint_key.h"

namespace leman {
namespace {

constexpr int64_t kMinute = 60'000'000;
constexpr int64_t kHour = 60 * kMinute;
constexpr int64_t kDay = 24 * kHour;
constexpr int64_t kNow = 1000 * kDay;

const std::string kComputation(32, 'a');
const std::string kDataFile = "leman-f" + std::string(24, '1') + "-0-0123456789ab.lance";
const std::string kHash(64, 'b');

std::string CheckpointIn(const std::string& computation, const std::string& name = "3-0123456789abcdef-0-100.lance") {
  return "_leman/checkpoints/" + computation + "/" + name;
}

using Keys = std::vector<std::string>;

class CleanupTest : public ::testing::Test {
 protected:
  CleanupTest() { inputs_.now_micros = kNow; }

  void AddFile(const std::string& key, int64_t age_micros) { inputs_.files.push_back({key, 10, kNow - age_micros}); }
  void AddAlive(int64_t age_micros) {
    inputs_.jobs.push_back({"alive", true, kNow - age_micros, "y", "1", std::nullopt, {"int64"}});
  }
  void AddEnded(const std::string& job_id) { inputs_.jobs.push_back({job_id, false, std::nullopt, "", "", {}, {}}); }

  std::vector<std::string> Removed() { return KeysOf(PlanCleanup(inputs_).remove); }
  std::vector<std::string> Kept() { return KeysOf(PlanCleanup(inputs_).keep); }
  static std::vector<std::string> KeysOf(const std::vector<CleanupItem>& items) {
    std::vector<std::string> keys;
    for (const CleanupItem& item : items) keys.push_back(item.key);
    return keys;
  }

  CleanupInputs inputs_;
};

TEST_F(CleanupTest, AnEmptyTableHasNothingToRemove) {
  const CleanupPlan plan = PlanCleanup(inputs_);
  EXPECT_TRUE(plan.remove.empty());
  EXPECT_TRUE(plan.keep.empty());
}

TEST_F(CleanupTest, CheckpointsFinishedOrNotGoAtOnceWhereNoJobRuns) {
  const Keys left = {CheckpointIn(kComputation), CheckpointIn(kComputation, "tmp-123x456-1-7"),
                     CheckpointIn(kComputation, ".tmpa1B2c3")};
  for (const std::string& key : left) AddFile(key, 0);
  AddEnded("j1");
  const CleanupPlan plan = PlanCleanup(inputs_);
  EXPECT_EQ(KeysOf(plan.remove), left);
  EXPECT_EQ(plan.remove[0].size_bytes, 10);
  EXPECT_EQ(CleanupReasonText(plan.remove[0].reason), "checkpoint of no running job");
}

TEST_F(CleanupTest, BlobsBesideADataFileGoWithIt) {
  const std::string folder = "data/" + kDataFile.substr(0, kDataFile.size() - 6);
  const std::string blob = folder + "/10000000000000000000000000000000.blob";
  AddFile(blob, kDay);
  AddFile("data/another/1.blob", kDay);
  AddFile(folder + "/notes.txt", kDay);
  AddFile(folder + "/deeper/1.blob", kDay);
  EXPECT_EQ(Removed(), Keys{blob});
  inputs_.referred_data.insert(kDataFile);
  EXPECT_EQ(Removed(), Keys{});
}

TEST_F(CleanupTest, ARunningJobKeepsAllCheckpointsOfItsComputationHoweverOld) {
  AddAlive(kHour);
  BackfillSpec spec;
  spec.column = "y";
  spec.udf_version = "1";
  spec.output_type = "int64";
  AddFile(CheckpointIn(ComputationId(spec)), 5 * kDay);
  AddFile(CheckpointIn(kComputation), 5 * kDay);
  EXPECT_EQ(Kept(), Keys{CheckpointIn(ComputationId(spec))});
  EXPECT_EQ(Removed(), Keys{CheckpointIn(kComputation)});
}

TEST_F(CleanupTest, TheFilterOfARunningJobIsPartOfItsComputation) {
  BackfillSpec spec;
  spec.column = "y";
  spec.udf_version = "1";
  spec.output_type = "int64";
  AddFile(CheckpointIn(ComputationId(spec)), 5 * kDay);
  AddAlive(kHour);
  inputs_.jobs[0].where = "x > 1";
  EXPECT_EQ(Removed(), Keys{CheckpointIn(ComputationId(spec))});
  spec.where = "x > 1";
  inputs_.files[0].key = CheckpointIn(ComputationId(spec));
  EXPECT_EQ(Removed(), Keys{});
}

TEST_F(CleanupTest, ARunningJobKeepsEverythingYoungerThanItsStart) {
  AddAlive(5 * kHour);
  AddFile(CheckpointIn(kComputation), 4 * kHour);
  AddFile("data/" + kDataFile, 4 * kHour);
  AddFile("data/" + kDataFile + ".tmp", 4 * kHour);
  EXPECT_EQ(Removed(), Keys{});
  EXPECT_EQ(Kept().size(), 3U);
}

TEST_F(CleanupTest, TheClockOfARunningJobMayDifferByLessThanTheGracePeriod) {
  AddAlive(kHour);
  AddFile("data/" + kDataFile, kHour + 9 * kMinute);
  EXPECT_EQ(Removed(), Keys{});
  inputs_.files[0].changed_micros = kNow - kHour - 11 * kMinute;
  EXPECT_EQ(Removed(), Keys{"data/" + kDataFile});
}

TEST_F(CleanupTest, ARunningJobOfUnknownStartKeepsEverything) {
  inputs_.jobs.push_back({"unreadable", true, std::nullopt, "", "", std::nullopt, {}});
  AddFile(CheckpointIn(kComputation), 500 * kDay);
  AddFile("data/" + kDataFile, 500 * kDay);
  EXPECT_EQ(Removed(), Keys{});
}

TEST_F(CleanupTest, OfTwoRunningJobsEachKeepsItsFiles) {
  AddAlive(kHour);
  AddAlive(10 * kHour);
  AddFile("data/" + kDataFile, 8 * kHour);
  EXPECT_EQ(Removed(), Keys{});
}

TEST_F(CleanupTest, ADataFileThatAVersionRefersToIsNotEvenALeftover) {
  AddFile("data/" + kDataFile, 5 * kDay);
  inputs_.referred_data = {kDataFile};
  EXPECT_EQ(Removed(), Keys{});
  EXPECT_EQ(Kept(), Keys{});
}

TEST_F(CleanupTest, ADataFileOfNoVersionGoesAfterTheGracePeriod) {
  AddFile("data/" + kDataFile, 10 * kMinute - 1);
  EXPECT_EQ(Removed(), Keys{});
  EXPECT_EQ(Kept(), Keys{"data/" + kDataFile});
  inputs_.files[0].changed_micros -= 1;
  EXPECT_EQ(Removed(), Keys{"data/" + kDataFile});
}

TEST_F(CleanupTest, AFileOfTheFutureIsYoung) {
  AddFile("data/" + kDataFile, -5 * kDay);
  EXPECT_EQ(Kept(), Keys{"data/" + kDataFile});
}

TEST_F(CleanupTest, AnUnfinishedDataFileGoesThoughTheFinishedOneIsReferredTo) {
  AddFile("data/" + kDataFile + ".tmp", kHour);
  inputs_.referred_data = {kDataFile};
  EXPECT_EQ(Removed(), Keys{"data/" + kDataFile + ".tmp"});
}

TEST_F(CleanupTest, UnfinishedRecordsGoAfterTheGracePeriod) {
  const Keys unfinished = {"_leman/jobs/j1.json.tmp-12-3", "_leman/errors/j1.json.tmp-12-3",
                           "_leman/leases/k.json.tmp-12-3", "_leman/jobs/.tmp-abc_12xy", "_leman/udfs/.tmp-abcd1234"};
  for (const std::string& key : unfinished) AddFile(key, kMinute);
  EXPECT_EQ(Kept(), unfinished);
  inputs_.now_micros += kHour;
  EXPECT_EQ(Removed(), unfinished);
}

TEST_F(CleanupTest, FilesThatAreNotLemansByNameAreNeverTouched) {
  inputs_.jobs_older_than_micros = 0;
  for (const std::string& key : Keys{"data/0123456789.lance",
                                     "data/0123456789.lance.tmp",
                                     "data/leman-notes.lance",
                                     "data/.tmpa1B2c3",
                                     CheckpointIn(kComputation, ".tmpnotes"),
                                     CheckpointIn(kComputation, ".tmpa-b_c.d"),
                                     "data/leman-x" + std::string(24, '1') + "-0-0123456789ab.lance",
                                     "data/old/" + kDataFile,
                                     kDataFile,
                                     "_versions/1.manifest",
                                     "_leman/README",
                                     "_leman/notes/a.json",
                                     "_leman/jobs/a b.json",
                                     "_leman/jobs/notes.txt",
                                     "_leman/jobs/deep/j1.json",
                                     "_leman/udfs/" + kHash + ".txt",
                                     "_leman/udfs/function.pkl",
                                     "_leman/checkpoints/notes.txt",
                                     "_leman/checkpoints/mine/3-0123456789abcdef-0-100.lance",
                                     CheckpointIn(kComputation, "notes.txt"),
                                     CheckpointIn(kComputation, "deep/3-0123456789abcdef-0-100.lance"),
                                     CheckpointIn(std::string(32, 'A')),
                                     "_leman/leases/0123456789abcdef.json"}) {
    AddFile(key, 900 * kDay);
  }
  EXPECT_EQ(Removed(), Keys{});
  EXPECT_EQ(Kept(), Keys{});
}

TEST_F(CleanupTest, ACancelRequestGoesWithTheEndOfItsJob) {
  AddAlive(kHour);
  AddEnded("ended");
  AddFile("_leman/jobs/ended.cancel", 0);
  AddFile("_leman/jobs/alive.cancel", 0);
  AddFile("_leman/jobs/unheard.cancel", 0);
  AddFile("_leman/jobs/forgotten.cancel", kHour);
  EXPECT_EQ(Removed(), (Keys{"_leman/jobs/ended.cancel", "_leman/jobs/forgotten.cancel"}));
}

TEST_F(CleanupTest, JobRecordsStayUnlessALimitIsGiven) {
  AddEnded("old");
  AddEnded("new");
  AddAlive(40 * kDay);
  AddFile("_leman/jobs/old.json", 30 * kDay);
  AddFile("_leman/errors/old.json", 30 * kDay);
  AddFile("_leman/jobs/new.json", kDay);
  AddFile("_leman/jobs/alive.json", 30 * kDay);
  EXPECT_EQ(Removed(), Keys{});
  inputs_.jobs_older_than_micros = 7 * kDay;
  EXPECT_EQ(Removed(), (Keys{"_leman/jobs/old.json", "_leman/errors/old.json"}));
}

TEST_F(CleanupTest, AStoredFunctionGoesWhenNoVersionNamesItForADay) {
  const std::string key = "_leman/udfs/" + kHash + ".pkl";
  AddFile(key, kDay - 1);
  EXPECT_EQ(Kept(), Keys{key});
  inputs_.files[0].changed_micros -= 1;
  EXPECT_EQ(Removed(), Keys{key});
  inputs_.referred_payloads = {kHash};
  EXPECT_EQ(Removed(), Keys{});
}

TEST_F(CleanupTest, LeasesThatNobodyHoldsGoFirst) {
  AddFile("data/" + kDataFile, kDay);
  inputs_.leases = {{"_leman/leases/a.json", "held", true}, {"_leman/leases/b.json", "dead", false}};
  EXPECT_EQ(Removed(), (Keys{"_leman/leases/b.json", "data/" + kDataFile}));
}

class CarryOutTest : public ::testing::Test {
 protected:
  CarryOutTest() {
    for (const char* key : {"_leman/leases/a.json", "_leman/udfs/b", "data/c"}) (void)files_.Put(key, "12345");
    plan_.remove = {{"_leman/leases/a.json", 5, CleanupReason::kDeadLease, "12345"},
                    {"_leman/udfs/b", 5, CleanupReason::kUnusedFunction},
                    {"data/c", 5, CleanupReason::kUnusedDataFile}};
  }

  bool Has(const std::string& key) { return *files_.Exists(key); }

  MemoryObjectStore files_;
  testing::FaultyObjectStore store_{files_};
  CleanupPlan plan_;
};

TEST_F(CarryOutTest, WhatThePlanSaysGoesAndIsCounted) {
  const CleanupResult result = CarryOutCleanup(plan_, store_);
  EXPECT_EQ(result.files, 3);
  EXPECT_EQ(result.bytes, 15);
  EXPECT_EQ(result.failed, 0);
  EXPECT_FALSE(Has("_leman/leases/a.json") || Has("_leman/udfs/b") || Has("data/c"));
}

TEST_F(CarryOutTest, AFileThatCannotBeRemovedDoesNotKeepTheOthers) {
  store_.set_hook([](const std::string& operation, const std::string& key) -> Status {
    if (operation == "Delete" && key == "_leman/udfs/b") return MakeError(ErrorKind::kInvalidArgument, "read-only");
    return Ok();
  });
  const CleanupResult result = CarryOutCleanup(plan_, store_);
  EXPECT_EQ(result.files, 2);
  EXPECT_EQ(result.failed, 1);
  ASSERT_TRUE(result.first_error);
  EXPECT_EQ(result.first_error->message, "read-only");
  EXPECT_FALSE(Has("data/c"));
}

TEST_F(CarryOutTest, ADriverThatRenewedItsLeaseMeanwhileKeepsItsLeaseAndDataFiles) {
  (void)files_.Put("_leman/leases/a.json", "renewed");
  const CleanupResult result = CarryOutCleanup(plan_, store_);
  EXPECT_EQ(result.files, 1);
  EXPECT_TRUE(Has("_leman/leases/a.json"));
  EXPECT_TRUE(Has("data/c"));
}

TEST_F(CarryOutTest, DataFilesStayWhereALeaseCannotBeRemoved) {
  store_.set_hook([](const std::string& operation, const std::string& key) -> Status {
    if (operation == "Delete" && key.starts_with("_leman/leases")) return MakeError(ErrorKind::kRetryable, "busy");
    return Ok();
  });
  const CleanupResult result = CarryOutCleanup(plan_, store_);
  EXPECT_EQ(result.failed, 1);
  EXPECT_TRUE(Has("data/c"));
}

}  // namespace
}  // namespace leman
