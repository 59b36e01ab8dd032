#include "place/staged_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "assemble/fragment_assembler.h"
#include "assemble/pages_file.h"
#include "assemble/testing/synthetic_file.h"

namespace leman {
namespace {

namespace fs = std::filesystem;
using testing::Build;
using testing::SyntheticFile;

class NoReencoder final : public Reencoder {
 public:
  Result<Unit> Reencode(const std::vector<CheckpointFile>&, const std::string&) override {
    return MakeError(ErrorKind::kInternal, "nothing is to be encoded again");
  }
};

class StagedFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "leman_staged_" + std::to_string(::getpid()) + "_" +
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    pages_ = folder_ + "/1-00.pages";
  }
  void TearDown() override { fs::remove_all(folder_); }

  /// A file of two pages of `bytes` bytes, each full of its letter.
  std::string Stage(char letter, size_t bytes, SyntheticFile spec = {}) {
    spec.pages = {{5, {std::string(bytes, letter), "small"}}, {6, {std::string(bytes, letter)}}};
    const std::string path = folder_ + "/staged-" + letter;
    std::ofstream(path, std::ios::binary) << Build(spec);
    return path;
  }
  static std::string Content(const std::string& path) {
    std::ostringstream out;
    out << std::ifstream(path, std::ios::binary).rdbuf();
    return out.str();
  }

  std::string folder_;
  std::string pages_;
};

TEST_F(StagedFileTest, FilesMoveIntoThePagesFileWhichBecomesTheDataFile) {
  std::vector<CheckpointFile> checkpoints;
  int64_t row = 0;
  for (const char letter : {'a', 'b', 'c'}) {
    const std::string path = Stage(letter, 300'000);
    const Result<PlacedRegion> region = PlaceStagedFile(path, pages_);
    ASSERT_TRUE(region.ok()) << region.error().message;
    EXPECT_FALSE(fs::exists(path));
    EXPECT_EQ(region->size_bytes % kRegionAlignment, 0);
    EXPECT_LT(region->size_bytes, 620'000);
    checkpoints.push_back({folder_ + "/record-" + letter, row, row + 11, *region, pages_, true});
    row += 11;
  }
  NoReencoder reencoder;
  const std::string output = folder_ + "/out.lance";
  AssembleOptions options;
  options.coalesce_below_bytes = 0;
  // check_bytes: the checksums of the regions are those of their bytes.
  const Result<AssembledFile> made = AssembleFragment(checkpoints, row, output, reencoder, options);
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ(made->way, AssembledFile::Way::kPlaced);
  EXPECT_EQ(made->bytes.written(), 0);
  EXPECT_EQ(made->rows, 33);
  const std::string content = Content(output);
  for (const char letter : {'a', 'b', 'c'}) {
    EXPECT_NE(content.find(std::string(300'000, letter)), std::string::npos);
    EXPECT_NE(content.rfind(std::string(300'000, letter)), content.find(std::string(300'000, letter)));
  }
}

TEST_F(StagedFileTest, ADamagedRegionIsFound) {
  const Result<PlacedRegion> region = PlaceStagedFile(Stage('a', 300'000), pages_);
  ASSERT_TRUE(region.ok());
  {
    std::fstream file(pages_, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(kPagesHeaderBytes + 100'000);
    file.put('!');
  }
  NoReencoder reencoder;
  const std::vector<CheckpointFile> checkpoints = {{folder_ + "/record", 0, 11, *region, pages_, true}};
  const auto made = AssembleFragment(checkpoints, 11, folder_ + "/out.lance", reencoder);
  EXPECT_EQ(made.error().kind, ErrorKind::kCorrupt);
}

TEST_F(StagedFileTest, WhatCannotBeAdoptedStaysAFile) {
  const std::string blob = Stage('a', 10, {.field_metadata = {{"lance-encoding:blob", "true"}}});
  EXPECT_EQ(PlaceStagedFile(blob, pages_).error().kind, ErrorKind::kUnsupported);
  EXPECT_TRUE(fs::exists(blob));
  EXPECT_FALSE(fs::exists(pages_));
}

TEST_F(StagedFileTest, ASealedPagesFileIsLeftAlone) {
  auto pages = PagesFile::OpenOrCreate(pages_);
  ASSERT_TRUE(pages.ok());
  ASSERT_TRUE(pages->Seal([](int64_t size_bytes) -> Result<int64_t> { return size_bytes; }).ok());
  const std::string before = Content(pages_);
  const std::string path = Stage('a', 10);
  EXPECT_EQ(PlaceStagedFile(path, pages_).error().kind, ErrorKind::kUnsupported);
  EXPECT_TRUE(fs::exists(path));
  EXPECT_EQ(Content(pages_), before);
}

}  // namespace
}  // namespace leman
