// Workers on threads of the test's own process.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "io/object_store.h"
#include "job/worker.h"
#include "schedule/worker_pool.h"
#include "table/testing/memory_table.h"

namespace leman::testing {

class ThreadWorkers;

/// One worker, as its function sees it.
class ThreadWorker final : public WorkerHost {
 public:
  ThreadWorker(ThreadWorkers& pool, WorkerId id, int fd) : pool_(pool), id_(id), fd_(fd) {}

  [[nodiscard]] WorkerId id() const { return id_; }
  /// From now on the coordinator sees what it sees of a process that was killed: a closed connection, after what was
  /// sent before. The thread comes to an end by itself.
  void Die();
  [[nodiscard]] bool dead() const { return dead_; }

  Status SetUp(const SetupMessage& setup) override;
  Result<ThreadTools> MakeThreadTools() override;
  void OnCoordinatorGone() override { dead_ = true; }
  void OnStuck() override { Die(); }

 private:
  ThreadWorkers& pool_;
  WorkerId id_;
  int fd_;
  std::atomic<bool> dead_ = false;
};

/// WorkerPool whose workers run ServeWorker on threads; their function gives x + 1000. Every hook runs on the worker's
/// thread and is set before the job starts. The destructor waits for all workers.
class ThreadWorkers final : public WorkerPool {
 public:
  /// `files` is what workers publish checkpoints in. Both outlive this.
  ThreadWorkers(MemoryTable& table, ObjectStore& files) : table_(table), files_(files) {}
  ThreadWorkers(const ThreadWorkers&) = delete;
  ThreadWorkers& operator=(const ThreadWorkers&) = delete;
  ~ThreadWorkers() override { Join(); }

  /// Replaces a worker's whole life; false leaves the worker to ServeWorker. Owns `fd` where it returns true.
  std::function<bool(WorkerId, int fd)> life;
  std::function<Status(ThreadWorker&)> on_setup;
  std::function<Status(ThreadWorker&)> on_thread;
  /// Called before rows with the values `x` are computed; an error is the call's answer. `*failed_row` as in Udf.
  std::function<Status(ThreadWorker&, const Int64s& x, int64_t* failed_row)> on_call;
  /// Called around the store's operations, see FaultyObjectStore; `done` says that it has happened.
  std::function<void(ThreadWorker&, const std::string& operation, const std::string& key, bool done)> on_store;
  std::function<Status(WorkerId)> on_start;

  Result<int> Start(WorkerId worker) override;
  void Kill(WorkerId, int64_t) override {}
  std::string ExitReason(WorkerId, int64_t) override { return "was taken away by the test"; }

  void Join();
  /// How often a row with the value `x` was computed.
  int64_t TimesComputed(int64_t x);
  int64_t rows_computed();
  [[nodiscard]] int64_t started() const { return started_; }

  // For ThreadWorker.
  void CountRow(int64_t x);
  [[nodiscard]] MemoryTable& table() { return table_; }
  [[nodiscard]] ObjectStore& files() { return files_; }

 private:
  MemoryTable& table_;
  ObjectStore& files_;
  std::mutex mutex_;
  std::map<int64_t, int64_t> times_;
  std::vector<std::thread> threads_;
  int64_t started_ = 0;
};

}  // namespace leman::testing
