// Whole jobs whose workers connect over TCP.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <future>
#include <thread>

#include "job/remote_worker_pool.h"
#include "job/testing/job_fixture.h"

namespace leman {
namespace {

using testing::Int64s;
using testing::ThreadWorker;
using testing::ThreadWorkers;

constexpr int64_t kMs = 1'000'000;

// Places workers on threads of this process; they connect as workers of other machines do.
class ThreadLauncher final : public WorkerLauncher {
 public:
  ThreadLauncher(ThreadWorkers& workers, std::string token) : workers_(workers), token_(std::move(token)) {}
  ThreadLauncher(const ThreadLauncher&) = delete;
  ThreadLauncher& operator=(const ThreadLauncher&) = delete;
  ~ThreadLauncher() override {
    for (std::thread& thread : threads_) thread.join();
  }

  void Launch(const LaunchOrder& order) override {
    ++launched;
    threads_.emplace_back([this, order] {
      // A worker that comes when the job has ended is refused, and soon gives up.
      const auto fd = DialCoordinator({{"127.0.0.1", port}, token_, 500});
      if (!fd.ok()) return;
      if (life && life(order.worker, *fd)) return;
      ThreadWorker host(workers_, order.worker, *fd);
      SystemClock clock;
      HelloMessage hello;
      hello.worker = order.worker;
      hello.node = "node-" + std::to_string(order.worker);
      (void)ServeWorker(*fd, host, clock, hello);
    });
  }
  void Stop(int64_t) override {}
  std::vector<LaunchNews> TakeNews() override {
    const std::lock_guard lock(mutex_);
    return std::exchange(news, {});
  }
  /// From any thread.
  void Tell(LaunchNews said) {
    const std::lock_guard lock(mutex_);
    news.push_back(std::move(said));
  }
  std::vector<std::string> Nodes() override { return {}; }

  /// Replaces a worker's life where it returns true; owns `fd` then.
  std::function<bool(WorkerId, int fd)> life;
  std::vector<LaunchNews> news;
  uint16_t port = 0;
  int launched = 0;

 private:
  ThreadWorkers& workers_;
  std::string token_;
  std::mutex mutex_;
  std::vector<std::thread> threads_;
};

class RemoteJobTest : public testing::JobFixture {
 protected:
  RemoteJobTest() {
    RemotePoolOptions options;
    options.listen.token = token_;
    options.heartbeat = {20 * kMs, 300 * kMs};
    options.exit_wait_ns = 10 * kMs;
    auto opened = RemoteWorkerPool::Open(options, launcher_, clock_);
    EXPECT_TRUE(opened.ok());
    remote_ = std::move(*opened);
    launcher_.port = remote_->port();
    pool_ = remote_.get();
  }

  std::string token_ = std::string(kTokenBytes, 'k');
  ThreadLauncher launcher_{workers_, token_};
  std::unique_ptr<RemoteWorkerPool> remote_;
};

TEST_F(RemoteJobTest, AJobOverTcpComputesEverythingOnce) {
  const JobResult result = RunToTheEnd();
  ExpectAllComputed();
  EXPECT_EQ(result.metrics.rows_computed, 160);
  EXPECT_EQ(workers_.rows_computed(), 160);
  EXPECT_EQ(result.metrics.worker_deaths, 0);
}

TEST_F(RemoteJobTest, AWorkerWhoseConnectionBreaksIsReplaced) {
  std::atomic<int> calls = 0;
  workers_.on_call = [&calls](ThreadWorker& worker, const Int64s&, int64_t*) {
    if (++calls == 3) worker.Die();
    return Ok();
  };
  const JobResult result = RunToTheEnd();
  ExpectAllComputed();
  EXPECT_EQ(result.metrics.rows_computed, 160);
  EXPECT_EQ(result.metrics.worker_deaths, 1);
}

// A machine that is cut off: the connection stays, nothing comes any more.
TEST_F(RemoteJobTest, ASilentWorkerIsGivenUpAfterItsLease) {
  std::promise<void> over;
  std::promise<void> has_task;
  // By value: the launcher's threads outlive this body.
  launcher_.life = [this, &has_task, ended = over.get_future().share()](WorkerId id, int fd) {
    if (id != 1) return false;
    testing::ScriptedWorker worker(fd, files_);
    (void)worker.TakeTask(id);
    has_task.set_value();
    ended.wait();
    return true;
  };
  // The others must not leave it nothing to do.
  workers_.on_setup = [silent = has_task.get_future().share()](ThreadWorker&) {
    silent.wait();
    return Ok();
  };
  const JobResult result = RunToTheEnd();
  over.set_value();
  ExpectAllComputed();
  // On a machine with other work a good worker may be silent for as long, too.
  EXPECT_GE(result.metrics.rows_computed, 160);
  EXPECT_GE(result.metrics.worker_deaths, 1);
  const std::string events = Record().at("events").dump();
  EXPECT_NE(events.find("was silent for 0.3 s"), std::string::npos) << events;
}

// Beats come from a thread of their own: a function that takes longer than the lease is no reason to give a worker up.
TEST_F(RemoteJobTest, ALongCallOutlastsTheLease) {
  std::atomic<int> calls = 0;
  workers_.on_call = [&calls](ThreadWorker&, const Int64s&, int64_t*) {
    if (++calls == 1) std::this_thread::sleep_for(std::chrono::milliseconds(700));
    return Ok();
  };
  workers_.on_setup = [](ThreadWorker&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(700));  // loads a model
    return Ok();
  };
  const JobResult result = RunToTheEnd();
  ExpectAllComputed();
  EXPECT_EQ(result.metrics.worker_deaths, 0);
}

TEST_F(RemoteJobTest, AWorkerThatHearsNothingEndsByItself) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  ServerChannel coordinator(ends[0]);
  ThreadWorker host(workers_, 1, ends[1]);
  std::thread worker([&] { (void)ServeWorker(ends[1], host, clock_); });
  SetupMessage setup;
  setup.beat_ns = 10 * kMs;
  setup.lease_ns = 50 * kMs;
  coordinator.Send(setup);
  worker.join();  // though its connection is still there
  EXPECT_TRUE(host.dead());
}

TEST_F(RemoteJobTest, AFailureToSetUpIsHeardBeforeTheEnd) {
  workers_.on_setup = [](ThreadWorker&) -> Status { return MakeError(ErrorKind::kUserFunction, "no such model"); };
  const JobResult result = Run();
  EXPECT_EQ(result.status, JobStatus::kFailed);
  EXPECT_EQ(result.error->message, "no such model");
}

TEST_F(RemoteJobTest, WhatTheLauncherCannotDoFailsTheJob) {
  launcher_.life = [](WorkerId, int fd) {
    ::close(fd);
    return true;
  };
  launcher_.news.push_back({LaunchNews::Kind::kFailed, 0, "no node has a GPU"});
  const JobResult result = Run();
  EXPECT_EQ(result.status, JobStatus::kFailed);
  EXPECT_EQ(result.error->message, "no node has a GPU");
}

// What a spot machine's warning leads to: no row is computed twice, and nobody counts as dead.
TEST_F(RemoteJobTest, AWorkerWhoseNodeIsAboutToGoHandsOver) {
  std::atomic<int> calls = 0;
  workers_.on_call = [&](ThreadWorker& worker, const Int64s&, int64_t*) {
    if (worker.id() == 1 && ++calls == 2) launcher_.Tell({LaunchNews::Kind::kLeaving, 0, "node-1"});
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return Ok();
  };
  const JobResult result = RunToTheEnd();
  ExpectAllComputed();
  EXPECT_EQ(workers_.rows_computed(), 160);
  EXPECT_EQ(result.metrics.worker_deaths, 0);
  const std::string events = Record().at("events").dump();
  EXPECT_NE(events.find("node node-1 is about to go"), std::string::npos) << events;
  EXPECT_NE(events.find("worker 1 (pid"), std::string::npos) << events;
  EXPECT_NE(events.find("has left nothing behind"), std::string::npos) << events;
}

}  // namespace
}  // namespace leman
