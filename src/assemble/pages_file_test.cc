#include "assemble/pages_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

namespace leman {
namespace {

namespace fs = std::filesystem;

class PagesFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = ::testing::TempDir() + "leman_pages_" + std::to_string(::getpid()) + "_" +
            ::testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove(path_);
  }
  void TearDown() override { fs::remove(path_); }
  std::string path_;
};

TEST_F(PagesFileTest, TheSecondToOpenItFindsTheFirstsFile) {
  const auto first = PagesFile::OpenOrCreate(path_);
  const auto second = PagesFile::OpenOrCreate(path_);
  const auto third = PagesFile::Open(path_);
  ASSERT_TRUE(first.ok() && second.ok() && third.ok());
  EXPECT_EQ(first->id().size(), 16U);
  EXPECT_EQ(second->id(), first->id());
  EXPECT_EQ(third->id(), first->id());
}

TEST_F(PagesFileTest, NoTwoWritersGetTheSameRoom) {
  constexpr int kThreads = 4;
  constexpr int kTimes = 50;
  constexpr int64_t kSize = 5000;
  std::vector<std::vector<int64_t>> offsets(kThreads);
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, i] {
        auto pages = PagesFile::OpenOrCreate(path_);
        ASSERT_TRUE(pages.ok()) << pages.error().message;
        for (int k = 0; k < kTimes; ++k) offsets[size_t(i)].push_back(*pages->Reserve(kSize));
      });
    }
  }
  std::vector<int64_t> all;
  for (const auto& own : offsets) all.insert(all.end(), own.begin(), own.end());
  std::sort(all.begin(), all.end());
  ASSERT_EQ(all.size(), size_t{kThreads * kTimes});
  EXPECT_EQ(all.front(), kPagesHeaderBytes);
  for (size_t i = 1; i < all.size(); ++i) EXPECT_GE(all[i], all[i - 1] + kSize);
  EXPECT_EQ(static_cast<int64_t>(fs::file_size(path_)), all.back() + kSize);
}

TEST_F(PagesFileTest, NobodyMakesASealedFileLonger) {
  auto pages = PagesFile::OpenOrCreate(path_);
  ASSERT_TRUE(pages.ok());
  const int64_t offset = *pages->Reserve(10);
  const Status sealed = pages->Seal([&](int64_t size_bytes) -> Result<int64_t> {
    EXPECT_EQ(size_bytes, offset + 10);
    return size_bytes + 7;
  });
  ASSERT_TRUE(sealed.ok()) << sealed.error().message;
  EXPECT_TRUE(*PagesFile::Open(path_)->sealed());
  EXPECT_EQ(static_cast<int64_t>(fs::file_size(path_)), offset + 17);
  EXPECT_EQ(pages->Reserve(1).error().kind, ErrorKind::kUnsupported);
  EXPECT_EQ(PagesFile::OpenOrCreate(path_)->Reserve(1).error().kind, ErrorKind::kUnsupported);
  EXPECT_EQ(pages->Seal([](int64_t size) -> Result<int64_t> { return size; }).error().kind, ErrorKind::kUnsupported);
}

TEST_F(PagesFileTest, AFailedSealLeavesItOpen) {
  auto pages = PagesFile::OpenOrCreate(path_);
  ASSERT_TRUE(pages.ok());
  const Status sealed = pages->Seal([](int64_t) -> Result<int64_t> { return MakeError(ErrorKind::kCancelled, "no"); });
  EXPECT_EQ(sealed.error().kind, ErrorKind::kCancelled);
  EXPECT_TRUE(pages->Reserve(1).ok());
}

TEST_F(PagesFileTest, AWriterOfAReplacedFileGetsNoRoom) {
  auto pages = PagesFile::OpenOrCreate(path_);
  ASSERT_TRUE(pages.ok());
  fs::remove(path_);
  EXPECT_EQ(pages->Reserve(1).error().kind, ErrorKind::kUnsupported);
  const auto other = PagesFile::OpenOrCreate(path_);
  ASSERT_TRUE(other.ok());
  EXPECT_NE(other->id(), pages->id());
  EXPECT_EQ(pages->Reserve(1).error().kind, ErrorKind::kUnsupported);
}

TEST_F(PagesFileTest, AHeaderThatItsWriterDidNotFinishIsMadeAgain) {
  std::ofstream(path_) << "LEMA";
  EXPECT_EQ(PagesFile::Open(path_).error().kind, ErrorKind::kCorrupt);
  EXPECT_TRUE(PagesFile::OpenOrCreate(path_)->Reserve(1).ok());
  EXPECT_TRUE(PagesFile::Open(path_).ok());
}

TEST_F(PagesFileTest, AnotherFileIsRefused) {
  std::ofstream(path_) << std::string(5000, 'x');
  EXPECT_EQ(PagesFile::Open(path_).error().kind, ErrorKind::kCorrupt);
  EXPECT_EQ(PagesFile::OpenOrCreate(path_).error().kind, ErrorKind::kCorrupt);
}

}  // namespace
}  // namespace leman
