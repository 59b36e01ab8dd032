#include "job/oom_kills.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace leman {
namespace {

class OomKillsTest : public ::testing::Test {
 protected:
  OomKillsTest()
      : root_(::testing::TempDir() + "oom_kills_test-" +
              ::testing::UnitTest::GetInstance()->current_test_info()->name() + "/") {
    std::filesystem::remove_all(root_);
  }
  ~OomKillsTest() override { std::filesystem::remove_all(root_); }
  void Write(const std::string& path, const std::string& content) const {
    const std::filesystem::path file = root_ + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << content;
  }
  std::string root_;
};

TEST_F(OomKillsTest, NothingIsKnownWhereThereIsNothingToRead) { EXPECT_EQ(CountOomKills(root_), 0); }

TEST_F(OomKillsTest, CountsOfTheMachineAndOfBothKindsOfGroup) {
  Write("proc/vmstat", "nr_free_pages 12\noom_kill 3\n");
  EXPECT_EQ(CountOomKills(root_), 3);
  Write("proc/self/cgroup", "4:cpu,memory:/a/b\n1:name=systemd:/\n0::/c\n");
  Write("sys/fs/cgroup/memory/a/b/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n");
  EXPECT_EQ(CountOomKills(root_), 8);
  Write("sys/fs/cgroup/c/memory.events", "low 0\nhigh 0\nmax 9\noom 2\noom_kill 7\n");
  EXPECT_EQ(CountOomKills(root_), 15);
}

TEST_F(OomKillsTest, InAContainerTheGroupIsTheTopOfTheMount) {
  Write("proc/self/cgroup", "0::/docker/0123\nnonsense\n");
  Write("sys/fs/cgroup/memory.events", "oom_kill 2\n");
  EXPECT_EQ(CountOomKills(root_), 2);
}

}  // namespace
}  // namespace leman
