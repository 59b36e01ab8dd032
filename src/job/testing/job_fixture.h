// A whole job in the test's process: table and store in memory, workers on threads.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "io/memory_object_store.h"
#include "io/testing/faulty_object_store.h"
#include "job/backfill.h"
#include "job/job_log.h"
#include "job/testing/thread_workers.h"
#include "table/testing/memory_table.h"
#include "transport/channel.h"

namespace leman::testing {

/// Puts the texts of the parts one after the other.
class ConcatenatingAssembler final : public Assembler {
 public:
  explicit ConcatenatingAssembler(ObjectStore& files) : files_(files) {}
  Result<AssembledFragment> Assemble(int64_t fragment_id, const std::vector<FragmentPart>& parts, int64_t physical_rows,
                                     const std::string& file_name) override;
  /// Called before a fragment is put together; an error is the answer.
  std::function<Status(int64_t fragment_id)> before;

 private:
  ObjectStore& files_;
};

class FakeJobHost final : public JobHost {
 public:
  Result<std::string> WorkerPayload() override { return std::string("payload"); }
  RowDecision DecideRow(const RowFailure& failure) override {
    blamed.push_back(failure);
    return on_row ? on_row(failure) : RowDecision::kFail;
  }
  bool OnProgress(const JobMetrics& metrics, const std::string& phase) override {
    phases.push_back(phase);
    return !on_progress || on_progress(metrics);
  }
  std::function<bool(const JobMetrics&)> on_progress;
  std::vector<std::string> phases;
  std::function<RowDecision(const RowFailure&)> on_row;
  std::vector<RowFailure> blamed;
};

class JobFixture : public ::testing::Test {
 protected:
  /// 4 fragments of 40 rows, x = 100 * fragment + row; calls and checkpoints of 10 rows, tasks of 20, 2 workers.
  JobFixture();

  JobResult Run();
  /// Runs and expects kDone.
  JobResult RunToTheEnd();
  /// Every live row of every fragment, `fragments` in number, holds x + 1000.
  void ExpectAllComputed(int64_t fragments = 4);
  /// Rows that the published checkpoints hold.
  int64_t CheckpointedRows();
  /// The values x whose rows the published checkpoints hold.
  std::vector<int64_t> CheckpointedX();
  nlohmann::json Record();
  [[nodiscard]] int64_t FilesUnder(const std::string& folder);
  static Int64s Sequence(int64_t first, int64_t count);

  MemoryObjectStore files_;
  MemoryTable table_{files_};
  FaultyObjectStore driver_files_{files_};
  SystemClock clock_;
  ConcatenatingAssembler assembler_{driver_files_};
  FakeJobHost host_;
  BackfillSpec spec_;
  ThreadWorkers workers_{table_, files_};
  WorkerPool* pool_ = &workers_;  ///< What the job gets its workers from.
};

/// The worker's side of the protocol, step by step, for workers that misbehave.
class ScriptedWorker {
 public:
  ScriptedWorker(int fd, ObjectStore& files) : channel_(fd), files_(files) {}

  /// Hello, setup, ready; then the first task. Over TCP the hello says who it is.
  AssignMessage TakeTask(WorkerId id = 0);
  /// Waits for the next message that is a T; nothing if the coordinator has gone.
  template <typename T>
  std::optional<T> Await() {
    while (true) {
      Result<Message> message = channel_.Receive();
      if (!message.ok()) return std::nullopt;
      if (T* wanted = std::get_if<T>(&message.value())) return *wanted;
    }
  }
  void Send(const Message& message) { (void)channel_.Send(message); }
  /// Makes the checkpoint of `range` and tells it; x as JobFixture has it.
  CheckpointDone Checkpoint(const AssignMessage& assigned, const RowRange& range);

 private:
  ClientChannel channel_;
  ObjectStore& files_;
  std::string folder_;
};

}  // namespace leman::testing
