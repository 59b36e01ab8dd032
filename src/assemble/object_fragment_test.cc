#include "assemble/object_fragment.h"

#include <gtest/gtest.h>

#include "assemble/testing/synthetic_file.h"
#include "io/memory_object_store.h"
#include "io/testing/memory_part_uploads.h"

namespace leman {
namespace {

using testing::Build;
using testing::SyntheticFile;

constexpr int64_t kMinPartBytes = 5 << 20;

/// Puts one page of `rows` rows in place of encoding anything.
class FakeReencoder final : public Reencoder {
 public:
  explicit FakeReencoder(ObjectStore& store) : store_(store) {}
  Result<Unit> Reencode(const std::vector<CheckpointFile>& checkpoints, const std::string& output_path) override {
    ++calls;
    if (fail) return MakeError(failure, "no luck");
    const auto rows = static_cast<uint64_t>(checkpoints.back().end_row + rows_too_many);
    return store_.Put(output_path, Build({.pages = {{rows, {"x"}}}}));
  }

  int calls = 0;
  bool fail = false;
  ErrorKind failure = ErrorKind::kRetryable;
  int64_t rows_too_many = 0;

 private:
  ObjectStore& store_;
};

class ObjectFragment : public ::testing::Test {
 protected:
  void Add(uint64_t rows, size_t bytes, SyntheticFile spec = {}) {
    spec.pages = {{rows, {std::string(bytes, static_cast<char>('a' + checkpoints_.size()))}}};
    const int64_t start = checkpoints_.empty() ? 0 : checkpoints_.back().end_row;
    const std::string key = "part" + std::to_string(checkpoints_.size());
    ASSERT_TRUE(store_.Put(key, Build(spec)).ok());
    checkpoints_.push_back({key, start, start + static_cast<int64_t>(rows)});
  }
  Result<AssembledFile> Assemble() {
    return AssembleFragmentObject(checkpoints_, checkpoints_.back().end_row, "out", store_, uploads_, reencoder_,
                                  options_);
  }

  MemoryObjectStore store_;
  testing::MemoryPartUploads uploads_{store_, kMinPartBytes};
  std::vector<CheckpointFile> checkpoints_;
  FakeReencoder reencoder_{store_};
  AssembleOptions options_;
};

TEST_F(ObjectFragment, OneCheckpointIsCopiedInsideTheStore) {
  Add(10, 100);
  const Result<AssembledFile> made = Assemble();
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ(made->way, AssembledFile::Way::kLinked);
  EXPECT_EQ(*store_.Get("out"), *store_.Get("part0"));
  EXPECT_EQ(made->bytes.copied, made->size_bytes);
}

TEST_F(ObjectFragment, LargePagesAreCopiedAsRanges) {
  for (int i = 0; i < 3; ++i) Add(7, 9 << 20);
  const Result<AssembledFile> made = Assemble();
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ(made->way, AssembledFile::Way::kStitched);
  EXPECT_EQ(made->rows, 21);
  EXPECT_GE(uploads_.copied_bytes, 3 * (9 << 20));
  EXPECT_EQ(uploads_.open, 0);
  EXPECT_EQ(reencoder_.calls, 0);
}

TEST_F(ObjectFragment, SmallCheckpointsAreEncodedAgainAndJoinedWhereThatFails) {
  for (int i = 0; i < 3; ++i) Add(7, 100);
  const Result<AssembledFile> encoded = Assemble();
  ASSERT_TRUE(encoded.ok()) << encoded.error().message;
  EXPECT_EQ(encoded->way, AssembledFile::Way::kReencoded);
  EXPECT_EQ(encoded->bytes.reencoded, encoded->size_bytes);
  reencoder_.fail = true;
  reencoder_.failure = ErrorKind::kInternal;
  const Result<AssembledFile> joined = Assemble();
  ASSERT_TRUE(joined.ok()) << joined.error().message;
  EXPECT_EQ(joined->way, AssembledFile::Way::kStitched);
  reencoder_.failure = ErrorKind::kRetryable;
  EXPECT_EQ(Assemble().error().kind, ErrorKind::kRetryable);
}

TEST_F(ObjectFragment, WhatCannotBeJoinedIsEncodedAgainOrRefused) {
  Add(7, 9 << 20);
  Add(7, 9 << 20, {.version = LanceVersion::k2_1});
  const Result<AssembledFile> encoded = Assemble();
  ASSERT_TRUE(encoded.ok()) << encoded.error().message;
  EXPECT_EQ(encoded->way, AssembledFile::Way::kReencoded);
  EXPECT_NE(encoded->reencode_reason.find("version differs"), std::string::npos) << encoded->reencode_reason;
  reencoder_.fail = true;
  reencoder_.failure = ErrorKind::kInternal;
  EXPECT_EQ(Assemble().error().kind, ErrorKind::kInternal);
}

TEST_F(ObjectFragment, AFileThatFailsItsVerificationIsNotLeft) {
  for (int i = 0; i < 2; ++i) Add(7, 100);
  reencoder_.rows_too_many = 1;
  const Result<AssembledFile> made = Assemble();
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().kind, ErrorKind::kCorrupt);
  EXPECT_FALSE(*store_.Exists("out"));
}

TEST_F(ObjectFragment, ACheckpointOfOtherRowsIsNamed) {
  Add(7, 100);
  checkpoints_.front().end_row = 8;
  const Result<AssembledFile> made = Assemble();
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().kind, ErrorKind::kCorrupt);
  EXPECT_NE(made.error().message.find("part0 has 7 rows, expected 8"), std::string::npos) << made.error().message;
  checkpoints_.front() = {"part0", 1, 8};
  EXPECT_EQ(Assemble().error().kind, ErrorKind::kInvalidArgument);
}

}  // namespace
}  // namespace leman
