#include "api/broken_pipe_guard.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <unistd.h>

#include <cerrno>

namespace leman::api {
namespace {

int WriteToNobody() {
  int ends[2];
  EXPECT_EQ(::pipe(ends), 0);
  ::close(ends[0]);
  const int code = ::write(ends[1], "x", 1) < 0 ? errno : 0;
  ::close(ends[1]);
  return code;
}

TEST(BrokenPipeGuard, ABrokenPipeIsAnErrorAndNothingIsLeftBehind) {
  ::signal(SIGPIPE, SIG_DFL);
  {
    const BrokenPipeGuard guard;
    EXPECT_EQ(WriteToNobody(), EPIPE);
  }
  sigset_t mask;
  ::pthread_sigmask(SIG_BLOCK, nullptr, &mask);
  EXPECT_EQ(::sigismember(&mask, SIGPIPE), 0);
}

TEST(BrokenPipeGuardDeathTest, AfterItTheProgramsOwnWayHolds) {
  EXPECT_EXIT(
      {
        ::signal(SIGPIPE, SIG_DFL);
        { const BrokenPipeGuard guard; }
        WriteToNobody();
      },
      ::testing::KilledBySignal(SIGPIPE), "");
}

}  // namespace
}  // namespace leman::api
