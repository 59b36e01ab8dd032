#include "job/local_worker_pool.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstring>
#include <string_view>

namespace leman {
namespace {

TEST(DescribeWaitStatus, TellsExitCodesFromSignals) {
  EXPECT_EQ(DescribeWaitStatus(W_EXITCODE(0, 0)), "exited with code 0");
  EXPECT_EQ(DescribeWaitStatus(W_EXITCODE(3, 0)), "exited with code 3");
  EXPECT_EQ(DescribeWaitStatus(SIGKILL), "killed by signal 9 (Killed)");
  EXPECT_EQ(DescribeWaitStatus(SIGSEGV), "killed by signal 11 (Segmentation fault)");
  EXPECT_EQ(DescribeWaitStatus(SIGABRT | 0x80), "killed by signal 6 (Aborted)");  // with a core dump
}

class LocalWorkerPoolTest : public ::testing::Test {
 protected:
  LocalWorkerPoolTest() = default;
  ~LocalWorkerPoolTest() override {
    ::close(ends_[0]);
    CloseServer();
  }
  LocalWorkerPoolTest(const LocalWorkerPoolTest&) = delete;
  LocalWorkerPoolTest& operator=(const LocalWorkerPoolTest&) = delete;

  void Say(std::string_view text) {
    EXPECT_EQ(::send(ends_[1], text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  void CloseServer() {
    if (ends_[1] >= 0) ::close(ends_[1]);
    ends_[1] = -1;
  }
  // The descriptor that came with a request for a worker.
  [[nodiscard]] int TakeDescriptor() const {
    char byte = 0;
    iovec data{&byte, 1};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    EXPECT_EQ(::recvmsg(ends_[1], &message, MSG_CMSG_CLOEXEC), 1);
    EXPECT_EQ(byte, 'w');
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    return fd;
  }

  static std::array<int, 2> MakePair() {
    std::array<int, 2> ends{-1, -1};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    return ends;
  }

  std::array<int, 2> ends_ = MakePair();
  LocalWorkerPool pool_{ends_[0]};
};

TEST_F(LocalWorkerPoolTest, AWorkerGetsTheOtherEndOfASocket) {
  const auto mine = pool_.Start(1);
  ASSERT_TRUE(mine.ok());
  const int its = TakeDescriptor();
  EXPECT_EQ(::write(its, "hi", 2), 2);
  std::array<char, 4> bytes{};
  EXPECT_EQ(::read(*mine, bytes.data(), bytes.size()), 2);
  ::close(its);
  EXPECT_EQ(::read(*mine, bytes.data(), bytes.size()), 0);  // no other copy of its end is open
  ::close(*mine);
}

TEST_F(LocalWorkerPoolTest, WithoutTheServerNoWorkerStarts) {
  CloseServer();
  const auto fd = pool_.Start(1);
  ASSERT_FALSE(fd.ok());
  EXPECT_EQ(fd.error().message, "the process that starts workers is gone");
}

TEST_F(LocalWorkerPoolTest, ExitLinesTellHowWorkersEnded) {
  Say("101 9\n102 256\n");
  EXPECT_EQ(pool_.ExitReason(1, 102), "exited with code 1");
  EXPECT_EQ(pool_.ExitReason(1, 101), "killed by signal 9 (Killed)");
}

TEST_F(LocalWorkerPoolTest, ALineMayArriveInPieces) {
  Say("77 1");
  EXPECT_EQ(pool_.ExitReason(1, 77), "its connection closed");
  Say("1\n");
  EXPECT_EQ(pool_.ExitReason(1, 77), "killed by signal 11 (Segmentation fault)");
}

TEST_F(LocalWorkerPoolTest, AWorkerThatNeverSaidItsNumberHasTheLatestEnd) {
  Say("900 0\n50 9\n");
  EXPECT_EQ(pool_.ExitReason(1, 0), "killed by signal 9 (Killed)");
}

TEST_F(LocalWorkerPoolTest, AnEndIsToldOnceForANumberMayComeAgain) {
  Say("5 9\n");
  EXPECT_EQ(pool_.ExitReason(1, 5), "killed by signal 9 (Killed)");
  EXPECT_EQ(pool_.ExitReason(1, 5), "its connection closed");
}

TEST_F(LocalWorkerPoolTest, NothingIsWaitedForWhenTheServerIsGone) {
  CloseServer();
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(pool_.ExitReason(1, 5), "its connection closed");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(400));
}

TEST_F(LocalWorkerPoolTest, AKillThatTheKernelCountedIsForWantOfMemory) {
  int64_t kills = 7;
  LocalWorkerPool pool(ends_[0], [&kills] { return kills; });
  Say("5 9\n6 9\n7 11\n");
  EXPECT_EQ(pool.ExitReason(1, 5), "killed by signal 9 (Killed)");
  EXPECT_FALSE(pool.WasOutOfMemory(5));
  kills = 8;
  EXPECT_EQ(pool.ExitReason(1, 7), "killed by signal 11 (Segmentation fault)");
  EXPECT_EQ(pool.ExitReason(1, 6), "ran out of memory and was killed by the system (signal 9)");
  EXPECT_TRUE(pool.WasOutOfMemory(6));
  EXPECT_FALSE(pool.WasOutOfMemory(7));
}

TEST_F(LocalWorkerPoolTest, KillsAProcessButNotOneThatHasEnded) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  Say(std::to_string(child) + " 0\n");  // as if the number belonged to another process by now
  pool_.Kill(1, child);
  EXPECT_EQ(pool_.ExitReason(1, child), "exited with code 0");
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, WNOHANG), 0);
  pool_.Kill(1, child);
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
  pool_.Kill(1, 0);  // would be the whole process group
}

}  // namespace
}  // namespace leman
