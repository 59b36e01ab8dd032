#include "job/remote_worker_pool.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <future>
#include <set>

#include "transport/channel.h"

namespace leman {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

class FakeLauncher final : public WorkerLauncher {
 public:
  void Launch(const LaunchOrder& order) override { launched.push_back(order); }
  void Stop(int64_t launch) override { stopped.insert(launch); }
  std::vector<LaunchNews> TakeNews() override { return std::exchange(news, {}); }
  std::vector<std::string> Nodes() override { return nodes; }

  std::vector<LaunchOrder> launched;
  std::set<int64_t> stopped;
  std::vector<LaunchNews> news;
  std::vector<std::string> nodes = {"a", "b"};
};

class RemoteWorkerPoolTest : public ::testing::Test {
 protected:
  RemoteWorkerPoolTest() {
    RemotePoolOptions options;
    options.listen.token = token_;
    options.versions = "leman 1";
    auto opened = RemoteWorkerPool::Open(options, launcher_, clock_);
    EXPECT_TRUE(opened.ok());
    pool_ = std::move(*opened);
  }
  ~RemoteWorkerPoolTest() override {
    for (const int fd : fds_) ::close(fd);
  }
  RemoteWorkerPoolTest(const RemoteWorkerPoolTest&) = delete;
  RemoteWorkerPoolTest& operator=(const RemoteWorkerPoolTest&) = delete;

  void Connect(WorkerId worker, const std::string& node, const std::string& versions = "leman 1") {
    // Both ends have something to say until a connection is made.
    auto dialed = std::async(std::launch::async, [this] {
      return DialCoordinator({{"127.0.0.1", pool_->port()}, token_});
    });
    while (dialed.wait_for(std::chrono::milliseconds(1)) != std::future_status::ready) {
      for (PoolNews& news : pool_->Poll()) unseen_.push_back(std::move(news));
    }
    const Result<int> fd = dialed.get();
    ASSERT_TRUE(fd.ok()) << fd.error().message;
    fds_.push_back(*fd);
    const std::string frame = EncodeFrame(HelloMessage{kProtocolVersion, 42, worker, node, versions});
    ASSERT_EQ(::send(*fd, frame.data(), frame.size(), MSG_NOSIGNAL), static_cast<ssize_t>(frame.size()));
  }
  std::vector<PoolNews> Poll() {
    std::vector<PoolNews> all = std::exchange(unseen_, {});
    for (PoolNews& news : pool_->Poll()) all.push_back(std::move(news));
    return all;
  }
  // Polls until there is news of `kind`.
  std::optional<PoolNews> Await(PoolNews::Kind kind) {
    for (int i = 0; i < 400; ++i) {
      for (const PoolNews& news : Poll()) {
        if (news.fd >= 0) fds_.push_back(news.fd);
        if (news.kind == kind) return news;
      }
      pollfd waiting{pool_->fd(), POLLIN, 0};
      ::poll(&waiting, 1, 5);
    }
    return std::nullopt;
  }
  void Ended(const std::string& why) {
    launcher_.news.push_back({LaunchNews::Kind::kEnded, launcher_.launched.back().launch, why});
  }
  void StartAndConnect(WorkerId worker, const std::string& node) {
    EXPECT_EQ(*pool_->Start(worker), WorkerPool::kComesLater);
    Connect(worker, node);
    EXPECT_TRUE(Await(PoolNews::Kind::kConnected).has_value());
  }

  std::string token_ = std::string(kTokenBytes, 's');
  FakeLauncher launcher_;
  ManualClock clock_;
  std::unique_ptr<RemoteWorkerPool> pool_;
  std::vector<int> fds_;
  std::vector<PoolNews> unseen_;
};

TEST_F(RemoteWorkerPoolTest, AWorkerIsLaunchedAndConnects) {
  EXPECT_EQ(*pool_->Start(5), WorkerPool::kComesLater);
  ASSERT_EQ(launcher_.launched.size(), 1U);
  EXPECT_EQ(launcher_.launched[0].worker, 5);
  Connect(5, "a");
  const auto news = Await(PoolNews::Kind::kConnected);
  ASSERT_TRUE(news.has_value());
  EXPECT_EQ(news->worker, 5);
  EXPECT_EQ(news->pid, 42);
}

TEST_F(RemoteWorkerPoolTest, OneThatNobodyWaitsForIsTurnedAway) {
  StartAndConnect(1, "a");
  Connect(1, "b");  // a second one for the same place
  Connect(9, "b");
  for (int i = 0; i < 20; ++i) {
    for (const PoolNews& news : pool_->Poll()) EXPECT_EQ(news.kind, PoolNews::Kind::kNote) << news.text;
    ::usleep(1000);
  }
  char byte = 0;
  EXPECT_LE(::recv(fds_.back(), &byte, 1, 0), 0);
}

TEST_F(RemoteWorkerPoolTest, OtherVersionsFailTheJobWithBothNamed) {
  (void)pool_->Start(1);
  Connect(1, "a", "leman 2");
  const auto news = Await(PoolNews::Kind::kFailed);
  ASSERT_TRUE(news.has_value());
  EXPECT_NE(news->text.find("here: leman 1"), std::string::npos) << news->text;
  EXPECT_NE(news->text.find("there: leman 2"), std::string::npos);
}

TEST_F(RemoteWorkerPoolTest, AFailedStartIsTriedAgainAfterGrowingPauses) {
  StartAndConnect(1, "a");  // with another worker there, a failure is no reason to give up
  (void)pool_->Start(2);
  int64_t pause = kSecond / 2;
  for (int i = 0; i < 12; ++i) {
    const size_t launches = launcher_.launched.size();
    Ended("no room");
    for (const PoolNews& news : pool_->Poll()) EXPECT_EQ(news.kind, PoolNews::Kind::kNote);
    clock_.AdvanceNs(pause - 1);
    (void)pool_->Poll();
    EXPECT_EQ(launcher_.launched.size(), launches);
    clock_.AdvanceNs(1);
    (void)pool_->Poll();
    EXPECT_EQ(launcher_.launched.size(), launches + 1);
    EXPECT_EQ(launcher_.launched.back().worker, 2);
    pause = std::min(2 * pause, 30 * kSecond);
  }
}

TEST_F(RemoteWorkerPoolTest, FailedStartsAloneFailTheJob) {
  (void)pool_->Start(1);
  std::vector<PoolNews> news;
  for (int i = 0; i < 3; ++i) {
    Ended("no module named leman");
    news = pool_->Poll();
    clock_.AdvanceNs(60 * kSecond);
    if (i < 2) (void)pool_->Poll();
  }
  ASSERT_EQ(news.size(), 1U);
  EXPECT_EQ(news[0].kind, PoolNews::Kind::kFailed);
  EXPECT_NE(news[0].text.find("no module named leman"), std::string::npos);
}

TEST_F(RemoteWorkerPoolTest, WorkersThatAreLostTogetherWhileTheyStartDoNotFailTheJob) {
  for (WorkerId worker = 1; worker <= 3; ++worker) (void)pool_->Start(worker);
  for (int64_t launch = 0; launch < 3; ++launch) {
    launcher_.news.push_back({LaunchNews::Kind::kEnded, launcher_.launched[launch].launch, "its node has died"});
  }
  const std::vector<PoolNews> news = pool_->Poll();
  ASSERT_EQ(news.size(), 3U);
  for (const PoolNews& told : news) EXPECT_EQ(told.kind, PoolNews::Kind::kNote) << told.text;
  clock_.AdvanceNs(60 * kSecond);
  (void)pool_->Poll();
  EXPECT_EQ(launcher_.launched.size(), 6U);
}

TEST_F(RemoteWorkerPoolTest, ANodeThatFellSilentIsAvoidedForAWhile) {
  StartAndConnect(1, "a");
  pool_->Kill(1, 42);
  EXPECT_EQ(launcher_.stopped.size(), 1U);
  (void)pool_->Start(2);
  EXPECT_EQ(launcher_.launched.back().avoid_nodes, std::vector<std::string>{"a"});
  clock_.AdvanceNs(21 * kSecond);
  (void)pool_->Start(3);
  EXPECT_TRUE(launcher_.launched.back().avoid_nodes.empty());
}

TEST_F(RemoteWorkerPoolTest, AWorkerThatFindsNoRoomElsewhereMayComeBackLater) {
  StartAndConnect(1, "a");
  pool_->Kill(1, 42);
  (void)pool_->Start(2);
  const LaunchOrder first = launcher_.launched.back();
  clock_.AdvanceNs(21 * kSecond);
  (void)pool_->Poll();
  EXPECT_TRUE(launcher_.stopped.contains(first.launch));
  EXPECT_EQ(launcher_.launched.back().worker, 2);
  EXPECT_TRUE(launcher_.launched.back().avoid_nodes.empty());
}

TEST_F(RemoteWorkerPoolTest, ASuspectNodeIsBetterThanNone) {
  launcher_.nodes = {"a"};
  StartAndConnect(1, "a");
  pool_->Kill(1, 42);
  (void)pool_->Start(2);
  EXPECT_TRUE(launcher_.launched.back().avoid_nodes.empty());
}

TEST_F(RemoteWorkerPoolTest, AProcessThatDiedOnALivingNodeCastsNoSuspicion) {
  StartAndConnect(1, "a");
  Ended("killed by signal 9");
  EXPECT_EQ(pool_->ExitReason(1, 42), "killed by signal 9 (node a)");
  (void)pool_->Start(2);
  EXPECT_TRUE(launcher_.launched.back().avoid_nodes.empty());
}

TEST_F(RemoteWorkerPoolTest, AConnectionThatClosedForNoKnownReasonDoes) {
  StartAndConnect(1, "a");
  EXPECT_EQ(pool_->ExitReason(1, 42), "its connection closed (node a)");
  (void)pool_->Start(2);
  EXPECT_EQ(launcher_.launched.back().avoid_nodes, std::vector<std::string>{"a"});
}

TEST_F(RemoteWorkerPoolTest, WorkersLostOneAfterTheOtherAreReplacedMoreAndMoreSlowly) {
  for (WorkerId id = 1; id <= 2; ++id) {
    StartAndConnect(id, "a");
    Ended("out of memory");
    (void)pool_->ExitReason(id, 42);
    clock_.AdvanceNs(5 * kSecond);
    (void)pool_->Poll();
  }
  const size_t launches = launcher_.launched.size();
  (void)pool_->Start(9);
  EXPECT_EQ(launcher_.launched.size(), launches);
  clock_.AdvanceNs(kSecond / 2);
  (void)pool_->Poll();
  EXPECT_EQ(launcher_.launched.size(), launches + 1);
}

TEST_F(RemoteWorkerPoolTest, WhatTheLauncherSaysReachesTheRecord) {
  launcher_.news.push_back({LaunchNews::Kind::kNote, 0, "waiting for 2 GPUs"});
  launcher_.news.push_back({LaunchNews::Kind::kFailed, 0, "no node has a GPU"});
  const auto news = pool_->Poll();
  ASSERT_EQ(news.size(), 2U);
  EXPECT_EQ(news[0].text, "waiting for 2 GPUs");
  EXPECT_EQ(news[1].kind, PoolNews::Kind::kFailed);
}

TEST_F(RemoteWorkerPoolTest, WorkersOfANodeThatIsAboutToGoAreTold) {
  StartAndConnect(1, "a");
  StartAndConnect(2, "b");
  launcher_.news.push_back({LaunchNews::Kind::kLeaving, 0, "a"});
  launcher_.news.push_back({LaunchNews::Kind::kLeaving, 0, "a"});
  auto news = pool_->Poll();
  ASSERT_EQ(news.size(), 2U);
  EXPECT_EQ(news[0].kind, PoolNews::Kind::kLeaving);
  EXPECT_EQ(news[0].worker, 1);
  EXPECT_NE(news[1].text.find("node a is about to go"), std::string::npos);
  // One that was on its way there is told as soon as it has come.
  (void)pool_->Start(3);
  Connect(3, "a");
  const auto late = Await(PoolNews::Kind::kLeaving);
  ASSERT_TRUE(late.has_value());
  EXPECT_EQ(late->worker, 3);
}

TEST_F(RemoteWorkerPoolTest, AWorkerThatIsReleasedCastsNoSuspicionAndCausesNoPause) {
  for (WorkerId id = 1; id <= 3; ++id) {
    StartAndConnect(id, "a");
    pool_->Release(id);
  }
  EXPECT_EQ(launcher_.stopped.size(), 3U);
  (void)pool_->Start(4);
  ASSERT_EQ(launcher_.launched.size(), 4U);
  EXPECT_TRUE(launcher_.launched.back().avoid_nodes.empty());
}

}  // namespace
}  // namespace leman
