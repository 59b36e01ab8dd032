#include "job/linux_memory.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

namespace leman {
namespace {

constexpr int64_t kMiB = 1 << 20;

class LinuxMemoryTest : public ::testing::Test {
 protected:
  // Tests run side by side.
  LinuxMemoryTest() {
    std::string name = ::testing::TempDir() + "linux_memory_test-XXXXXX";
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name + "/";
  }
  ~LinuxMemoryTest() override { std::filesystem::remove_all(root_); }

  void Write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }

  std::string root_;
};

TEST_F(LinuxMemoryTest, NothingIsKnownOfAMachineThatDoesNotTell) {
  EXPECT_EQ(AvailableMemoryBytes(root_), std::nullopt);
  EXPECT_EQ(WorkerMemoryBytes(0, 8, root_), 0);
  EXPECT_EQ(WorkerMemoryBytes(7, 8, root_), 7);
}

TEST_F(LinuxMemoryTest, WorkersShareWhatIsAvailable) {
  Write("proc/meminfo", "MemTotal: 9000000 kB\nMemFree: 1 kB\nMemAvailable:    8388608 kB\n");
  EXPECT_EQ(AvailableMemoryBytes(root_), 8192 * kMiB);
  EXPECT_EQ(WorkerMemoryBytes(0, 4, root_), 8192 * kMiB / 5);
  EXPECT_EQ(WorkerMemoryBytes(0, 1000, root_), 512 * kMiB);
}

TEST_F(LinuxMemoryTest, ALimitOfAnyGroupAboveCounts) {
  Write("proc/meminfo", "MemAvailable: 8388608 kB\n");
  Write("proc/self/cgroup", "0::/pods/one\n");
  Write("sys/fs/cgroup/pods/one/memory.max", "max\n");
  Write("sys/fs/cgroup/pods/one/memory.current", "1000\n");
  Write("sys/fs/cgroup/pods/memory.max", "2000000\n");
  Write("sys/fs/cgroup/pods/memory.current", "1500000\n");
  Write("sys/fs/cgroup/pods/memory.stat", "anon 7\ninactive_file 100000\nactive_file 9\n");
  EXPECT_EQ(AvailableMemoryBytes(root_), 600'000);
}

TEST_F(LinuxMemoryTest, GroupsOfVersionOneAndTheTopOfAContainersMountAreRead) {
  Write("proc/meminfo", "MemAvailable: 8388608 kB\n");
  Write("proc/self/cgroup", "4:cpu,memory:/of/the/host\n0::/\n");
  Write("sys/fs/cgroup/memory/memory.limit_in_bytes", "5000000\n");
  Write("sys/fs/cgroup/memory/memory.usage_in_bytes", "4000000\n");
  EXPECT_EQ(AvailableMemoryBytes(root_), 1'000'000);
}

TEST(LinuxProcessMemoryTest, SeesWhatIsHeld) {
  LinuxProcessMemory memory([] {});
  const ProcessMemory::Reading before = memory.Read();
  const std::vector<char> held(64 * kMiB, 1);
  const ProcessMemory::Reading after = memory.Read();
  EXPECT_EQ(held[held.size() / 2], 1);
  EXPECT_GT(before.used_bytes, 0);
  EXPECT_GE(after.growth_bytes, 60 * kMiB);
  EXPECT_GE(after.used_bytes - before.used_bytes, 60 * kMiB);
}

}  // namespace
}  // namespace leman
