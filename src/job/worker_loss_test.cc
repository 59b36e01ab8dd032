// Jobs whose workers die, cannot start, or say what they must not.
#include <dirent.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>

#include "job/testing/job_fixture.h"

namespace leman {
namespace {

using testing::Int64s;
using testing::ScriptedWorker;
using testing::ThreadWorker;

int64_t OpenDescriptors() {
  int64_t count = 0;
  DIR* folder = ::opendir("/proc/self/fd");
  while (::readdir(folder) != nullptr) ++count;
  ::closedir(folder);
  return count;
}

class WorkerLossTest : public testing::JobFixture {
 protected:
  // The first worker is `script`; all others work, but not before it is gone: else they might leave it nothing to do.
  void FirstWorker(std::function<void(ScriptedWorker&)> script) {
    workers_.on_setup = [this](ThreadWorker&) {
      AwaitFirst();
      return Ok();
    };
    workers_.life = [this, script = std::move(script)](WorkerId id, int fd) {
      if (id != 1) return false;
      {
        ScriptedWorker worker(fd, files_);
        script(worker);
      }
      first_is_gone_ = true;
      return true;
    };
  }

  void AwaitFirst() const {
    while (!first_is_gone_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }

  std::atomic<bool> first_is_gone_ = false;

  // The job is done, every row was acknowledged once, and none in `acknowledged` was computed again.
  void ExpectRecovery(int64_t computed_by_script = 0) {
    const JobResult result = RunToTheEnd();
    ExpectAllComputed();
    EXPECT_EQ(result.metrics.rows_computed, 160);
    EXPECT_GE(result.metrics.worker_deaths, 1);
    EXPECT_LE(workers_.rows_computed(), 160 + 20 - computed_by_script);
  }
};

TEST_F(WorkerLossTest, AWorkerThatDiesBeforeItSaysHelloIsReplaced) {
  workers_.on_setup = [this](ThreadWorker&) {
    AwaitFirst();
    return Ok();
  };
  workers_.life = [this](WorkerId id, int fd) {
    if (id != 1) return false;
    ::close(fd);
    first_is_gone_ = true;
    return true;
  };
  ExpectRecovery();
}

TEST_F(WorkerLossTest, AWorkerThatDiesBeforeItIsReadyIsReplaced) {
  workers_.on_setup = [this](ThreadWorker& worker) {
    if (worker.id() == 1) {
      worker.Die();
      first_is_gone_ = true;
    }
    AwaitFirst();
    return Ok();
  };
  ExpectRecovery();
}

TEST_F(WorkerLossTest, AWorkerThatDiesInItsFirstCallLosesNothing) {
  std::atomic<bool> done = false;
  workers_.on_call = [&](ThreadWorker& worker, const Int64s&, int64_t*) {
    if (!done.exchange(true)) worker.Die();
    return Ok();
  };
  ExpectRecovery();
  EXPECT_EQ(workers_.rows_computed(), 160);
}

TEST_F(WorkerLossTest, AWorkerThatDiesBeforeItPublishesACheckpointLosesThatOne) {
  std::atomic<bool> done = false;
  workers_.on_store = [&](ThreadWorker& worker, const std::string&, const std::string&, bool published) {
    if (!published && !done.exchange(true)) worker.Die();
  };
  ExpectRecovery();
}

TEST_F(WorkerLossTest, AWorkerThatDiesBeforeItTellsOfACheckpointCountsOnce) {
  std::atomic<bool> done = false;
  workers_.on_store = [&](ThreadWorker& worker, const std::string&, const std::string&, bool published) {
    if (published && !done.exchange(true)) worker.Die();
  };
  ExpectRecovery();
}

TEST_F(WorkerLossTest, RowsThatWereAcknowledgedAreNotComputedAgain) {
  std::atomic<bool> done = false;
  int64_t first = -1;
  workers_.on_call = [&](ThreadWorker& worker, const Int64s& x, int64_t*) {
    if (*x[0] % 20 == 10 && !done.exchange(true)) {
      first = *x[0] - 10;
      worker.Die();
    }
    return Ok();
  };
  ExpectRecovery();
  EXPECT_EQ(workers_.rows_computed(), 160);
  EXPECT_EQ(workers_.TimesComputed(first), 1);
}

TEST_F(WorkerLossTest, AWorkerThatDiesBeforeItsLastWordLosesNothing) {
  FirstWorker([](ScriptedWorker& worker) {
    const AssignMessage task = worker.TakeTask();
    for (const RowRange& piece : task.task.pieces) worker.Checkpoint(task, piece);
  });
  ExpectRecovery(20);
  EXPECT_EQ(workers_.rows_computed(), 140);
}

TEST_F(WorkerLossTest, ACheckpointToldTwiceCountsOnce) {
  FirstWorker([](ScriptedWorker& worker) {
    const AssignMessage task = worker.TakeTask();
    const RowRange piece = task.task.pieces.front();
    const CheckpointDone done = worker.Checkpoint(task, {piece.fragment_id, piece.start, piece.start + 10});
    worker.Send(done);
    worker.Checkpoint(task, {piece.fragment_id, piece.start + 5, piece.start + 15});  // overlaps: not counted either
  });
  ExpectRecovery(10);
  EXPECT_EQ(workers_.rows_computed(), 150);
}

TEST_F(WorkerLossTest, RowsOutsideTheTaskAreNotTakenFromAWorker) {
  FirstWorker([](ScriptedWorker& worker) {
    const AssignMessage task = worker.TakeTask();
    worker.Checkpoint(task, {77, 0, 10});
    worker.Checkpoint(task, {task.task.pieces.front().fragment_id, 1000, 1010});
    worker.Checkpoint(task, {task.task.pieces.front().fragment_id, 10, 10});
  });
  ExpectRecovery();
}

TEST_F(WorkerLossTest, TheFileOfACheckpointNeverLeavesItsFolder) {
  FirstWorker([](ScriptedWorker& worker) {
    const AssignMessage task = worker.TakeTask();
    CheckpointDone done = worker.Checkpoint(task, {77, 0, 10});
    done.range = task.task.pieces.front();
    done.path = "../../data/precious";
    worker.Send(done);
  });
  ASSERT_TRUE(files_.Put("data/precious", "x").ok());
  ExpectRecovery();
  EXPECT_TRUE(*files_.Exists("data/precious"));
}

TEST_F(WorkerLossTest, AWorkerThatLeavesRowsOutFailsTheJob) {
  FirstWorker([](ScriptedWorker& worker) {
    const AssignMessage task = worker.TakeTask();
    worker.Send(TaskDoneMessage{task.task.id, task.task.attempt});
    (void)worker.Await<StopMessage>();
  });
  const JobResult result = Run();
  EXPECT_EQ(result.status, JobStatus::kFailed);
  EXPECT_NE(result.error->message.find("has not checkpointed"), std::string::npos);
}

TEST_F(WorkerLossTest, MessagesOfTasksThatDoNotExistAreIgnored) {
  FirstWorker([](ScriptedWorker& worker) {
    const AssignMessage task = worker.TakeTask();
    const TaskId id = task.task.id;
    worker.Send(ReadyMessage{});
    worker.Send(TaskDoneMessage{-1, 1});
    worker.Send(TaskDoneMessage{1 << 20, 1});
    worker.Send(TaskDoneMessage{id, 99});
    worker.Send(ShrunkMessage{id, 1, -5});
    worker.Send(ShrunkMessage{1 << 20, 1, 5});
    worker.Send(ProgressMessage{id, 1, 1'000'000});
    worker.Send(CheckpointDone{id, 99, task.task.pieces.front(), "x", 10, 10});
    worker.Send(TaskFailed{id, 99, {ErrorKind::kUserFunction, "of another life"}, task.task.pieces.front()});
  });
  ExpectRecovery();
}

TEST_F(WorkerLossTest, AWorkerThatTalksNonsenseIsReplaced) {
  workers_.on_setup = [this](ThreadWorker&) {
    AwaitFirst();
    return Ok();
  };
  workers_.life = [this](WorkerId id, int fd) {
    if (id != 1) return false;
    const std::string nonsense(100, '\xee');
    EXPECT_GT(::send(fd, nonsense.data(), nonsense.size(), MSG_NOSIGNAL), 0);
    std::array<char, 4096> bytes{};
    while (::recv(fd, bytes.data(), bytes.size(), 0) > 0) {
    }
    ::close(fd);
    first_is_gone_ = true;
    return true;
  };
  ExpectRecovery();
}

TEST_F(WorkerLossTest, AWorkerOfAnotherProtocolVersionFailsTheJob) {
  FirstWorker([](ScriptedWorker& worker) {
    worker.Send(HelloMessage{kProtocolVersion + 1, 1});
    (void)worker.Await<StopMessage>();
  });
  const JobResult result = Run();
  EXPECT_EQ(result.status, JobStatus::kFailed);
  EXPECT_NE(result.error->message.find("version"), std::string::npos) << result.error->message;
}

TEST_F(WorkerLossTest, AWorkerThatCannotBeSetUpFailsTheJobWithItsMessage) {
  workers_.on_setup = [](ThreadWorker&) -> Status {
    return MakeError(ErrorKind::kUserFunction, "a worker could not be set up: ModuleNotFoundError: no module 'torch'");
  };
  const JobResult result = Run();
  EXPECT_EQ(result.status, JobStatus::kFailed);
  EXPECT_EQ(result.error->message, "a worker could not be set up: ModuleNotFoundError: no module 'torch'");
  EXPECT_EQ(Record()["error"]["message"], result.error->message);
  EXPECT_EQ(Record()["error"]["type"], "UserFunctionError");
}

TEST_F(WorkerLossTest, AThreadThatCannotBeSetUpFailsTheJob) {
  spec_.intra_applier_concurrency = 3;
  std::atomic<int> threads = 0;
  workers_.on_thread = [&](ThreadWorker&) -> Status {
    return ++threads == 2 ? Status(MakeError(ErrorKind::kUserFunction, "only one model fits")) : Ok();
  };
  workers_.on_call = [](ThreadWorker&, const Int64s&, int64_t*) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    return Ok();
  };
  const JobResult result = Run();
  EXPECT_EQ(result.status, JobStatus::kFailed);
  EXPECT_EQ(result.error->message, "only one model fits");
}

TEST_F(WorkerLossTest, WorkersThatDieBeforeTheyAreReadyAgainAndAgainFailTheJob) {
  workers_.life = [](WorkerId, int fd) {
    ::close(fd);
    return true;
  };
  const JobResult result = Run();
  EXPECT_EQ(result.status, JobStatus::kFailed);
  EXPECT_NE(result.error->message.find("die before they are ready"), std::string::npos);
  EXPECT_EQ(ErrorTypeName(*result.error), "JobFailedError");
}

TEST_F(WorkerLossTest, AWorkerThatCannotBeStartedFailsTheJob) {
  workers_.on_start = [](WorkerId id) -> Status {
    return id == 2 ? Status(MakeError(ErrorKind::kResourceExhausted, "too many files")) : Ok();
  };
  const JobResult result = Run();
  EXPECT_EQ(result.status, JobStatus::kFailed);
  EXPECT_EQ(result.error->message, "too many files");
}

TEST_F(WorkerLossTest, ARowOnWhichEveryWorkerDiesIsNamed) {
  workers_.on_call = [](ThreadWorker& worker, const Int64s& x, int64_t*) {
    for (const auto& value : x) {
      if (value == 123) worker.Die();
    }
    return Ok();
  };
  spec_.batch_size = 5;
  spec_.checkpoint_rows = 5;
  const JobResult result = Run();
  EXPECT_EQ(result.status, JobStatus::kFailed);
  EXPECT_EQ(result.error->message,
            "column 'y': worker processes end on row 23 of fragment 1: was taken away by the test");
  EXPECT_EQ(ErrorTypeName(*result.error), "WorkerCrashError");
}

TEST_F(WorkerLossTest, ARowOnWhichEveryWorkerDiesIsLeftNullWhereThePolicySaysSo) {
  workers_.on_call = [](ThreadWorker& worker, const Int64s& x, int64_t*) {
    for (const auto& value : x) {
      if (value == 123) worker.Die();
    }
    return Ok();
  };
  host_.on_row = [](const RowFailure& failure) {
    return failure.attempts < 12 ? RowDecision::kRetry : RowDecision::kSkip;
  };
  const JobResult result = Run();
  EXPECT_EQ(result.status, JobStatus::kDone);
  EXPECT_EQ(result.metrics.rows_skipped, 1);
  EXPECT_EQ(result.metrics.rows_committed, 160);
  Int64s expected = Sequence(1100, 40);
  expected[23] = std::nullopt;
  EXPECT_EQ(table_.Output(1), expected);
  ASSERT_FALSE(host_.blamed.empty());
  EXPECT_EQ(host_.blamed.back().attempts, 12);
  const auto errors = nlohmann::json::parse(*files_.Get("_leman/errors/" + spec_.job_id + ".json"));
  ASSERT_EQ(errors["errors"].size(), 1U);
  EXPECT_EQ(errors["errors"][0]["fragment_id"], 1);
  EXPECT_EQ(errors["errors"][0]["row"], 23);
  EXPECT_EQ(errors["errors"][0]["error_type"], "WorkerCrashError");
  EXPECT_EQ(errors["errors"][0]["attempts"], 12);
  EXPECT_EQ(errors["rows"], nlohmann::json::parse("[[1, 23, 24]]"));
}

TEST_F(WorkerLossTest, AWorkerThatHangsInACallOrInItsSetUpIsReplaced) {
  spec_.stall_timeout_s = 0.2;
  workers_.life = [this](WorkerId id, int fd) {
    if (id > 2) return false;
    ScriptedWorker worker(fd, files_);
    if (id == 2) worker.TakeTask();  // and the other one is never ready
    worker.Await<StopMessage>();
    return true;
  };
  const JobResult result = RunToTheEnd();
  ExpectAllComputed();
  EXPECT_EQ(result.metrics.rows_computed, 160);
  EXPECT_GE(result.metrics.worker_deaths, 1);
}

TEST_F(WorkerLossTest, AWorkersLastWordsNameTheRowsToBlame) {
  FirstWorker([](ScriptedWorker& worker) {
    const AssignMessage task = worker.TakeTask();
    const RowRange piece = task.task.pieces.front();
    worker.Send(StuckMessage{task.task.id,
                             task.task.attempt,
                             {piece.fragment_id, piece.start, piece.start + 1},
                             "FunctionTimeoutError",
                             "took longer"});
    worker.Await<StopMessage>();
  });
  host_.on_row = [](const RowFailure&) { return RowDecision::kRetry; };
  ExpectRecovery();
  ASSERT_EQ(host_.blamed.size(), 1U);
  EXPECT_EQ(host_.blamed[0].error_type, "FunctionTimeoutError");
  EXPECT_EQ(host_.blamed[0].message, "took longer");
  EXPECT_EQ(host_.blamed[0].attempts, 1);
}

TEST_F(WorkerLossTest, AWorkerLostWhileItsTaskIsBeingSplitDoesNotMatter) {
  spec_.num_frags = 1;
  spec_.task_rows = 40;
  spec_.batch_size = 1;
  spec_.checkpoint_rows.reset();
  std::atomic<int> calls = 0;
  workers_.on_call = [&](ThreadWorker& worker, const Int64s&, int64_t*) {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    if (++calls % 15 == 0 && calls < 50) worker.Die();
    return Ok();
  };
  const JobResult result = RunToTheEnd();
  EXPECT_EQ(table_.Output(0), Sequence(1000, 40));
  EXPECT_EQ(result.metrics.rows_computed, 40);
}

TEST_F(WorkerLossTest, WorkersThatDieAtRandomCostTimeButNoValue) {
  spec_.concurrency = 4;
  spec_.intra_applier_concurrency = 2;
  spec_.batch_size = 5;
  std::atomic<int> calls = 0;
  workers_.on_call = [&](ThreadWorker& worker, const Int64s&, int64_t*) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    if (++calls % 13 == 0 && calls < 100) worker.Die();
    return Ok();
  };
  const JobResult result = RunToTheEnd();
  ExpectAllComputed();
  EXPECT_EQ(result.metrics.rows_computed, 160);
}

TEST_F(WorkerLossTest, AJobLeavesNoDescriptorOpen) {
  RunToTheEnd();
  workers_.Join();
  const int64_t before = OpenDescriptors();
  for (int i = 0; i < 3; ++i) {
    spec_.udf_version = "v" + std::to_string(10 + i);
    std::atomic<bool> done = false;
    workers_.on_call = [&](ThreadWorker& worker, const Int64s&, int64_t*) {
      if (!done.exchange(true)) worker.Die();
      return Ok();
    };
    RunToTheEnd();
    workers_.Join();
  }
  EXPECT_EQ(OpenDescriptors(), before);
}

TEST_F(WorkerLossTest, AJobThatWaitsUsesLittleProcessorTime) {
  spec_.num_frags = 1;
  spec_.task_rows = 40;
  spec_.batch_size = 40;
  spec_.checkpoint_rows.reset();
  workers_.on_call = [](ThreadWorker&, const Int64s&, int64_t*) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    return Ok();
  };
  rusage before{};
  rusage after{};
  ::getrusage(RUSAGE_SELF, &before);
  RunToTheEnd();
  ::getrusage(RUSAGE_SELF, &after);
  const auto seconds = [](const timeval& t) { return double(t.tv_sec) + double(t.tv_usec) / 1e6; };
  const double used =
      seconds(after.ru_utime) + seconds(after.ru_stime) - seconds(before.ru_utime) - seconds(before.ru_stime);
  EXPECT_LT(used, 0.5);
}

}  // namespace
}  // namespace leman
