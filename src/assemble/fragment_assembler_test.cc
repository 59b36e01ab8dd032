#include "assemble/fragment_assembler.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include "assemble/byte_source.h"
#include "assemble/file_assembly.h"
#include "assemble/testing/synthetic_file.h"
#include "assemble/verify_assembled.h"

namespace leman {
namespace {

namespace fs = std::filesystem;
using testing::Build;
using testing::SyntheticFile;

/// Writes one page of `rows` rows in place of encoding anything.
class FakeReencoder final : public Reencoder {
 public:
  Result<Unit> Reencode(const std::vector<CheckpointFile>& checkpoints, const std::string& output_path) override {
    ++calls;
    if (fail) return MakeError(failure, "no luck");
    std::ofstream(output_path) << Build(
        {.pages = {{static_cast<uint64_t>(checkpoints.back().end_row + rows_too_many), {"x"}}}});
    return Unit{};
  }

  int calls = 0;
  bool fail = false;
  ErrorKind failure = ErrorKind::kRetryable;
  int64_t rows_too_many = 0;
};

class FragmentAssembler : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "leman_assemble_" + std::to_string(::getpid()) + "_" +
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    output_ = folder_ + "/out.lance";
    options_.coalesce_below_bytes = 0;
  }
  void TearDown() override { fs::remove_all(folder_); }

  /// A checkpoint of one page of `bytes` bytes, after those that there are.
  void Add(uint64_t rows, size_t bytes, SyntheticFile spec = {}) {
    spec.pages = {{rows, {std::string(bytes, static_cast<char>('a' + checkpoints_.size()))}}};
    const int64_t start = checkpoints_.empty() ? 0 : checkpoints_.back().end_row;
    const std::string path = folder_ + "/part" + std::to_string(checkpoints_.size());
    std::ofstream(path, std::ios::binary) << Build(spec);
    checkpoints_.push_back({path, start, start + static_cast<int64_t>(rows)});
  }
  Result<AssembledFile> Assemble() {
    return AssembleFragment(checkpoints_, checkpoints_.back().end_row, output_, reencoder_, options_);
  }
  /// Nothing but the checkpoints is left.
  void ExpectNothingLeft() {
    for (const auto& entry : fs::directory_iterator(folder_)) {
      EXPECT_TRUE(entry.path().filename().string().starts_with("part")) << entry.path();
    }
  }
  static std::string Content(const std::string& path) {
    std::ostringstream out;
    out << std::ifstream(path, std::ios::binary).rdbuf();
    return out.str();
  }

  std::string folder_;
  std::string output_;
  std::vector<CheckpointFile> checkpoints_;
  FakeReencoder reencoder_;
  AssembleOptions options_;
};

TEST_F(FragmentAssembler, OneCheckpointIsLinked) {
  Add(10, 100);
  const Result<AssembledFile> made = Assemble();
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ(made->way, AssembledFile::Way::kLinked);
  EXPECT_EQ(made->bytes.linked, made->size_bytes);
  EXPECT_EQ(made->bytes.written(), 0);
  EXPECT_EQ(made->rows, 10);
  EXPECT_EQ(made->size_bytes, static_cast<int64_t>(fs::file_size(output_)));
  EXPECT_EQ(fs::hard_link_count(output_), 2U);
  // Again, over the link that is there.
  ASSERT_TRUE(Assemble().ok());
  EXPECT_EQ(fs::hard_link_count(output_), 2U);
  EXPECT_FALSE(fs::exists(output_ + ".tmp"));
}

TEST_F(FragmentAssembler, OneCheckpointOnAnotherFileSystemIsCopied) {
  struct stat here {};
  struct stat there {};
  ASSERT_EQ(::stat(folder_.c_str(), &here), 0);
  if (::stat("/dev/shm", &there) != 0 || here.st_dev == there.st_dev || ::access("/dev/shm", W_OK) != 0) {
    GTEST_SKIP() << "there is no second file system";
  }
  Add(10, 3000000);
  output_ = "/dev/shm/leman_assemble_" + std::to_string(::getpid()) + ".lance";
  for (const bool verify : {true, false}) {
    options_.verify_copy = verify;
    const Result<AssembledFile> made = Assemble();
    ASSERT_TRUE(made.ok()) << made.error().message;
    EXPECT_EQ(made->way, AssembledFile::Way::kStitched);
    EXPECT_EQ(made->bytes.copied + made->bytes.reflinked, made->size_bytes);
    EXPECT_EQ(Content(output_), Content(checkpoints_[0].path));
    fs::remove(output_);
  }
}

TEST_F(FragmentAssembler, PagesAreStitched) {
  for (const size_t bytes : {100, 64, 5000000, 1}) Add(7, bytes);
  for (const int threads : {1, 3}) {
    for (const bool verify : {true, false}) {
      int64_t progress = 0;
      options_.threads = threads;
      options_.verify_copy = verify;
      options_.on_bytes = [&](int64_t bytes) { progress += bytes; };
      const Result<AssembledFile> made = Assemble();
      ASSERT_TRUE(made.ok()) << made.error().message;
      EXPECT_EQ(made->way, AssembledFile::Way::kStitched);
      EXPECT_EQ(made->rows, 28);
      EXPECT_EQ(made->column_count, 1);
      EXPECT_EQ(made->major_version, 2);
      EXPECT_EQ(made->minor_version, 2);
      EXPECT_EQ(made->size_bytes, static_cast<int64_t>(fs::file_size(output_)));
      EXPECT_EQ(made->bytes.copied + made->bytes.reflinked, made->size_bytes);
      EXPECT_GT(progress, 0);
      EXPECT_LE(progress, made->size_bytes);
      EXPECT_FALSE(fs::exists(output_ + ".tmp"));
    }
  }
  const std::string bytes = Content(output_);
  EXPECT_EQ(bytes.substr(0, 100), std::string(100, 'a'));
  EXPECT_NE(bytes.find(std::string(5000000, 'c')), std::string::npos);
  EXPECT_EQ(reencoder_.calls, 0);
}

TEST_F(FragmentAssembler, GapsAndOverlapsAreRefused) {
  Add(5, 10);
  Add(5, 10);
  const auto refused = [&](int64_t start, int64_t end, int64_t rows) {
    std::vector<CheckpointFile> changed = checkpoints_;
    changed[1].start_row = start;
    changed[1].end_row = end;
    const Result<AssembledFile> made = AssembleFragment(changed, rows, output_, reencoder_, options_);
    return !made.ok() && made.error().kind == ErrorKind::kInvalidArgument;
  };
  EXPECT_TRUE(refused(4, 10, 10));
  EXPECT_TRUE(refused(6, 10, 10));
  EXPECT_TRUE(refused(5, 5, 5));
  EXPECT_TRUE(refused(5, 10, 11));
  EXPECT_TRUE(refused(5, 10, 9));
  EXPECT_FALSE(AssembleFragment({}, 0, output_, reencoder_, options_).ok());
  ExpectNothingLeft();
}

TEST_F(FragmentAssembler, ACheckpointOfOtherRowsIsCorrupt) {
  Add(5, 10);
  Add(5, 10);
  checkpoints_[0].end_row = 4;
  checkpoints_[1] = {checkpoints_[1].path, 4, 9};
  const Result<AssembledFile> made = Assemble();
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().kind, ErrorKind::kCorrupt);
  EXPECT_NE(made.error().message.find(checkpoints_[0].path), std::string::npos);
  ExpectNothingLeft();
}

TEST_F(FragmentAssembler, MissingAndBrokenCheckpointsAreNamed) {
  Add(5, 10);
  Add(5, 10);
  fs::resize_file(checkpoints_[1].path, 50);
  EXPECT_EQ(Assemble().error().kind, ErrorKind::kCorrupt);
  EXPECT_NE(Assemble().error().message.find("part1"), std::string::npos);
  fs::remove(checkpoints_[1].path);
  EXPECT_EQ(Assemble().error().kind, ErrorKind::kNotFound);
  ExpectNothingLeft();
}

TEST_F(FragmentAssembler, WhatCannotBeStitchedIsEncodedAgain) {
  const SyntheticFile blob{.field_metadata = {{"lance-encoding:blob", "true"}}};
  Add(5, 10, blob);
  Add(5, 10, blob);
  const Result<AssembledFile> made = Assemble();
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ(made->way, AssembledFile::Way::kReencoded);
  EXPECT_NE(made->reencode_reason.find("blob"), std::string::npos);
  EXPECT_EQ(made->bytes.reencoded, made->size_bytes);
  EXPECT_EQ(made->rows, 10);
}

TEST_F(FragmentAssembler, BlobsAsValuesAreEncodedAgainAlsoFromOneCheckpoint) {
  Add(10, 10, {.field_metadata = {{"leman.blob", "value"}}});
  const Result<AssembledFile> made = Assemble();
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ(made->way, AssembledFile::Way::kReencoded);
  EXPECT_NE(made->reencode_reason.find("blob"), std::string::npos);
}

TEST_F(FragmentAssembler, SmallCheckpointsAreEncodedAgain) {
  options_.coalesce_below_bytes = 1000;
  Add(50, 100);
  EXPECT_EQ(Assemble()->way, AssembledFile::Way::kLinked);
  Add(50, 100);
  EXPECT_EQ(Assemble()->way, AssembledFile::Way::kReencoded);
  Add(50, 10000);
  EXPECT_EQ(Assemble()->way, AssembledFile::Way::kStitched);
}

TEST_F(FragmentAssembler, AWrongReencodingIsNotOffered) {
  options_.coalesce_below_bytes = 1000;
  Add(5, 10);
  Add(5, 10);
  reencoder_.rows_too_many = 1;
  EXPECT_EQ(Assemble().error().kind, ErrorKind::kCorrupt);
  reencoder_.fail = true;
  EXPECT_EQ(Assemble().error().kind, ErrorKind::kRetryable);
  ExpectNothingLeft();
}

TEST_F(FragmentAssembler, CancelLeavesNothing) {
  Add(5, 3000000);
  Add(5, 3000000);
  std::atomic<bool> cancel{false};
  options_.cancel = &cancel;
  options_.on_bytes = [&](int64_t bytes) { cancel = bytes > 0; };
  EXPECT_EQ(Assemble().error().kind, ErrorKind::kCancelled);
  ExpectNothingLeft();
}

TEST_F(FragmentAssembler, AMissingFolderIsNamed) {
  Add(5, 10);
  Add(5, 10);
  output_ = folder_ + "/none/out.lance";
  const Result<AssembledFile> made = Assemble();
  EXPECT_EQ(made.error().kind, ErrorKind::kNotFound);
  EXPECT_NE(made.error().message.find(output_), std::string::npos);
}

TEST_F(FragmentAssembler, NoRoomForTheFileLeavesNothing) {
  Add(5, 3000000);
  Add(5, 3000000);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit small = before;
  small.rlim_cur = 1 << 20;
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const Result<AssembledFile> made = Assemble();
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, old_handler);
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().kind, ErrorKind::kResourceExhausted) << made.error().message;
  EXPECT_NE(made.error().message.find(output_), std::string::npos);
  ExpectNothingLeft();
}

TEST_F(FragmentAssembler, SmallOnesThatCannotBeEncodedAgainAreJoined) {
  Add(5, 10);
  Add(5, 10);
  options_.coalesce_below_bytes = 8 << 20;
  reencoder_.fail = true;
  reencoder_.failure = ErrorKind::kInternal;
  const Result<AssembledFile> made = Assemble();
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ(made->way, AssembledFile::Way::kStitched);
  EXPECT_EQ(made->rows, 10);
  EXPECT_EQ(reencoder_.calls, 1);
  // A store that fails may do better later.
  fs::remove(output_);
  reencoder_.failure = ErrorKind::kRetryable;
  EXPECT_EQ(Assemble().error().kind, ErrorKind::kRetryable);
  ExpectNothingLeft();
}

TEST_F(FragmentAssembler, ManyCheckpointsNeedFewOpenFiles) {
  constexpr int kCheckpoints = 300;
  for (int i = 0; i < kCheckpoints; ++i) Add(5, 5000);
  options_.threads = 4;
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit few = before;
  const auto open_now = std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator());
  // The output, and two for each thread: it opens its next checkpoint before it leaves the last.
  few.rlim_cur = static_cast<rlim_t>(open_now + 2 * options_.threads + 1);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  const Result<AssembledFile> made = Assemble();
  ::setrlimit(RLIMIT_NOFILE, &before);
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ(made->way, AssembledFile::Way::kStitched);
  EXPECT_EQ(made->rows, kCheckpoints * 5);
  const std::string content = Content(output_);
  EXPECT_NE(content.find(std::string(5000, static_cast<char>('a' + kCheckpoints - 1))), std::string::npos);
}

TEST_F(FragmentAssembler, ACheckpointThatShrinksIsNoticed) {
  AssemblyPlan plan;
  Add(5, 1000);
  plan.segments.push_back({0, CheckpointRange{0, 0, 2000000}});
  plan.size_bytes = 2000000;
  for (const bool checksum : {true, false}) {
    FileAssemblyOptions options;
    options.read_back = checksum;
    options.checksum = checksum;
    const Result<FileAssembly> made = AssembleToFile(plan, {checkpoints_[0].path}, output_, options);
    ASSERT_FALSE(made.ok());
    EXPECT_EQ(made.error().kind, ErrorKind::kCorrupt);
    EXPECT_NE(made.error().message.find("part0"), std::string::npos);
  }
  ExpectNothingLeft();
}

TEST_F(FragmentAssembler, APlanThatOverlapsIsADefect) {
  Add(5, 1000);
  AssemblyPlan plan;
  plan.segments.push_back({0, CheckpointRange{0, 0, 100}});
  plan.segments.push_back({99, std::string("tail")});
  plan.size_bytes = 103;
  EXPECT_EQ(AssembleToFile(plan, {checkpoints_[0].path}, output_).error().kind, ErrorKind::kInternal);
  plan.segments[1].position = 100;
  EXPECT_EQ(AssembleToFile(plan, {checkpoints_[0].path}, output_).error().kind, ErrorKind::kInternal);
  plan.size_bytes = 104;
  EXPECT_TRUE(AssembleToFile(plan, {checkpoints_[0].path}, output_).ok());
  EXPECT_EQ(AssembleToFile(plan, {}, output_).error().kind, ErrorKind::kInternal);
}

TEST_F(FragmentAssembler, VerificationSeesOneChangedByte) {
  Add(5, 70000);
  Add(5, 70000);
  std::vector<LanceFile> files;
  std::vector<std::string> paths;
  for (const CheckpointFile& checkpoint : checkpoints_) {
    Result<std::unique_ptr<ByteSource>> source = OpenLocalFile(checkpoint.path);
    ASSERT_TRUE(source.ok());
    files.push_back(*ReadLanceFile(**source));
    paths.push_back(checkpoint.path);
  }
  const Result<AssemblyPlan> plan = PlanAssembly(files);
  ASSERT_TRUE(plan.ok());
  const Result<FileAssembly> made = AssembleToFile(*plan, paths, output_, {.checksum = true});
  ASSERT_TRUE(made.ok()) << made.error().message;
  const AssembledExpectations expected{.version = plan->version,
                                       .rows = 10,
                                       .columns = 1,
                                       .pages = 2,
                                       .size_bytes = plan->size_bytes,
                                       .pieces = made->pieces};
  EXPECT_TRUE(VerifyAssembled(output_, expected).ok());
  {
    std::fstream file(output_, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(100000);
    file.put('!');
  }
  EXPECT_EQ(VerifyAssembled(output_, expected).error().kind, ErrorKind::kCorrupt);
  for (int64_t AssembledExpectations::*member : {&AssembledExpectations::rows, &AssembledExpectations::columns,
                                                 &AssembledExpectations::pages, &AssembledExpectations::size_bytes}) {
    AssembledExpectations wrong = expected;
    wrong.pieces.clear();
    EXPECT_TRUE(VerifyAssembled(output_, wrong).ok());
    wrong.*member += 1;
    EXPECT_EQ(VerifyAssembled(output_, wrong).error().kind, ErrorKind::kCorrupt);
  }
}

}  // namespace
}  // namespace leman
