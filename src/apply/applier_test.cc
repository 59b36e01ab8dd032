#include "apply/applier.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

#include "io/memory_object_store.h"
#include "table/testing/memory_table.h"

namespace leman {
namespace {

using testing::Int64s;

// x + 1000; fails on `poison`.
class AddThousand final : public Udf {
 public:
  Result<OwnedArray> Apply(OwnedArray inputs, const RowMask* selected, int64_t* failed_row) override {
    const Int64s x = testing::ReadInt64Array(*inputs->children[0]);
    Int64s y;
    for (size_t i = 0; i < x.size(); ++i) {
      if (selected != nullptr && (*selected)[i] == 0) {
        y.push_back(std::nullopt);
        continue;
      }
      ++calls;
      if (x[i] == poison) {
        *failed_row = static_cast<int64_t>(i);
        return MakeError(ErrorKind::kUserFunction, "ValueError: bad row");
      }
      y.push_back(x[i] ? std::optional<int64_t>(*x[i] + 1000) : std::nullopt);
    }
    call_sizes.push_back(static_cast<int64_t>(x.size()));
    if (on_call) on_call();
    return testing::MakeInt64Array(y);
  }
  int64_t calls = 0;
  std::optional<int64_t> poison;
  std::vector<int64_t> call_sizes;
  std::function<void()> on_call;
};

class Int64Merger final : public ArrayMerger {
 public:
  Result<OwnedArray> Merge(const RowMask& selected, OwnedArray computed, OwnedArray carried) override {
    Int64s values = testing::ReadInt64Array(*carried.get());
    const Int64s fresh = testing::ReadInt64Array(*computed.get());
    for (size_t i = 0; i < values.size(); ++i) {
      if (selected[i] != 0) values[i] = fresh[i];
    }
    return testing::MakeInt64Array(values);
  }
};

class Recorder final : public TaskObserver {
 public:
  void OnProgress(int64_t rows_done) override { progress.push_back(rows_done); }
  void OnCheckpoint(const CheckpointDone& done) override { checkpoints.push_back(done); }
  void OnShrunk(int64_t kept_rows) override { shrunk = kept_rows; }
  [[nodiscard]] bool cancelled() const override { return cancel; }
  [[nodiscard]] int64_t TakeShrinkRequest() override { return std::exchange(shrink, -1); }
  std::vector<int64_t> progress;
  std::vector<CheckpointDone> checkpoints;
  int64_t shrunk = -1;
  int64_t shrink = -1;
  bool cancel = false;
};

class ApplierTest : public ::testing::Test {
 protected:
  ApplierTest() {
    Int64s x;
    for (int64_t i = 0; i < 100; ++i) x.push_back(i);
    table_.AddFragment(0, x);
    cut_.batch_rows = 10;
    cut_.batch_rows_fixed = true;
  }

  Status Run(std::vector<RowRange> pieces, const std::string& filter = "", bool deleted = false) {
    Applier applier({table_, udf_, merger_, table_, checkpoints_, clock_, *type_.get(), {}, 0, memory_}, cut_, 1, "w0",
                    "memory");
    TaskOrder order{Task{7, 1, std::move(pieces)}, {}, filter, deleted};
    order.fragment_keys.assign(order.task.pieces.size(), "0123456789abcdef");
    return applier.Run(order, recorder_, &failed_at_);
  }

  Status RunListed(std::vector<RowRange> pieces, const std::string& filter, std::vector<int64_t> rows) {
    Applier applier({table_, udf_, merger_, table_, checkpoints_, clock_, *type_.get()}, cut_, 1, "w0", "memory");
    TaskOrder order{Task{7, 1, std::move(pieces)}, {"0123456789abcdef"}, filter, false, true, std::move(rows)};
    return applier.Run(order, recorder_, &failed_at_);
  }

  Int64s Stored(size_t checkpoint) {
    return testing::DecodeColumn(*files_.Get(checkpoints_.KeyOf(recorder_.checkpoints[checkpoint].path)));
  }

  MemoryObjectStore files_;
  testing::MemoryTable table_{files_};
  CheckpointStore checkpoints_{files_, "_leman/checkpoints/c"};
  ManualClock clock_;
  MemoryWatch* memory_ = nullptr;
  AddThousand udf_;
  Int64Merger merger_;
  OwnedSchema type_ = testing::MakeSchema("l", "y");
  CutOptions cut_;
  Recorder recorder_;
  RowRange failed_at_;
};

// Grows by `leak` a call.
class LeakingMemory final : public ProcessMemory {
 public:
  Reading Read() override { return {used += leak, leak}; }
  void Free() override {
    ++frees;
    used -= free_bytes;
  }
  int64_t used = 100;
  int64_t leak = 50;
  int64_t free_bytes = 0;
  int64_t frees = 0;
};

/// How a file is closed: an error instead, or after something else.
class ClosingWriter final : public ColumnWriter {
 public:
  using OnClose = std::function<Status()>;
  ClosingWriter(ColumnWriter& inner, OnClose on_close) : inner_(inner), on_close_(std::move(on_close)) {}
  Result<std::unique_ptr<ColumnFile>> Create(const std::string& path, const std::string& pages_path) override {
    LEMAN_ASSIGN_OR_RETURN(auto file, inner_.Create(path, pages_path));
    return std::unique_ptr<ColumnFile>(std::make_unique<File>(std::move(file), on_close_));
  }

 private:
  class File final : public ColumnFile {
   public:
    File(std::unique_ptr<ColumnFile> inner, const OnClose& on_close) : inner_(std::move(inner)), on_close_(on_close) {}
    Status Write(OwnedArray values) override { return inner_->Write(std::move(values)); }
    Result<ClosedFile> Close(const std::map<std::string, std::string>& metadata) override {
      LEMAN_RETURN_IF_ERROR(on_close_());
      return inner_->Close(metadata);
    }

   private:
    std::unique_ptr<ColumnFile> inner_;
    const OnClose& on_close_;
  };

  ColumnWriter& inner_;
  OnClose on_close_;
};

class WritingBehindTest : public ApplierTest {
 protected:
  Status RunBehind(const ClosingWriter::OnClose& on_close) {
    cut_.checkpoint_rows = 10;
    ClosingWriter writer(table_, on_close);
    Applier applier({table_, udf_, merger_, writer, checkpoints_, clock_, *type_.get(), {}, 0, nullptr, true}, cut_, 1,
                    "w0", "memory");
    TaskOrder order{Task{7, 1, {{0, 0, 40}}}, {"0123456789abcdef"}};
    return applier.Run(order, recorder_, &failed_at_);
  }
};

TEST_F(WritingBehindTest, TheNextRowsAreComputedBeforeACheckpointIsPutAway) {
  std::mutex mutex;
  std::condition_variable called;
  int calls = 0;
  int closes = 0;
  int overlapped = 0;
  udf_.on_call = [&] {
    const std::lock_guard lock(mutex);
    ++calls;
    called.notify_all();
  };
  const Status status = RunBehind([&]() -> Status {
    std::unique_lock lock(mutex);
    ++closes;
    // The last one has nothing behind it.
    if (closes < 4) overlapped += called.wait_for(lock, std::chrono::seconds(10), [&] { return calls > closes; });
    return Ok();
  });
  ASSERT_TRUE(status.ok()) << status.error().message;
  EXPECT_EQ(overlapped, 3);
  ASSERT_EQ(recorder_.checkpoints.size(), 4U);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(recorder_.checkpoints[i].range, (RowRange{0, int64_t(i) * 10, int64_t(i) * 10 + 10}));
    EXPECT_EQ(recorder_.checkpoints[i].rows_computed, 10);
    EXPECT_EQ(Stored(i)[3], static_cast<int64_t>(i) * 10 + 1003);
  }
}

TEST_F(WritingBehindTest, AFailureIsToldOfItsOwnCheckpointAndTheOthersStay) {
  int closes = 0;
  const Status status = RunBehind([&]() -> Status {
    if (++closes == 2) return MakeError(ErrorKind::kRetryable, "the store is away");
    return Ok();
  });
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().message, "the store is away");
  EXPECT_EQ(failed_at_, (RowRange{0, 10, 20}));
  ASSERT_GE(recorder_.checkpoints.size(), 1U);
  for (size_t i = 0; i < recorder_.checkpoints.size(); ++i) {
    EXPECT_NE(recorder_.checkpoints[i].range.start, 10);
    EXPECT_EQ(Stored(i)[0], recorder_.checkpoints[i].range.start + 1000);
  }
}

TEST_F(WritingBehindTest, AFailureOfTheFunctionComesAfterWhatItComputedIsPutAway) {
  udf_.poison = 25;
  const Status status = RunBehind([] { return Ok(); });
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().kind, ErrorKind::kUserFunction);
  EXPECT_EQ(failed_at_, (RowRange{0, 25, 26}));
  ASSERT_EQ(recorder_.checkpoints.size(), 2U);
}

TEST_F(ApplierTest, AWornOutWorkerPutsItsRowsAwayAndEndsTheTask) {
  LeakingMemory memory;
  MemoryWatch watch(400, 1, memory, clock_);
  memory_ = &watch;
  udf_.on_call = [this] { clock_.AdvanceNs(20'000'000); };
  const Status status = Run({{0, 0, 100}});
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().kind, ErrorKind::kCancelled);
  EXPECT_TRUE(watch.worn_out());
  EXPECT_LT(memory.used, 400);
  ASSERT_EQ(recorder_.checkpoints.size(), 1U);
  EXPECT_EQ(recorder_.checkpoints[0].rows_computed, udf_.calls);
  EXPECT_GE(udf_.calls, 20);
  EXPECT_FALSE(watch.Relieve());
}

TEST_F(ApplierTest, WhatCanBeFreedEndsNoTask) {
  LeakingMemory memory;
  memory.leak = 90;
  memory.free_bytes = 200;
  MemoryWatch watch(400, 1, memory, clock_);
  memory_ = &watch;
  udf_.on_call = [this] { clock_.AdvanceNs(20'000'000); };
  ASSERT_TRUE(Run({{0, 0, 100}}).ok());
  EXPECT_GE(memory.frees, 1);
  EXPECT_FALSE(watch.worn_out());
  int64_t shrunk = 0;
  for (const CheckpointDone& done : recorder_.checkpoints) shrunk += done.times.batches_shrunk;
  EXPECT_GE(shrunk, 1);
}

TEST_F(ApplierTest, WritesOneCheckpointForATaskThatIsQuick) {
  ASSERT_TRUE(Run({{0, 20, 60}}).ok());
  ASSERT_EQ(recorder_.checkpoints.size(), 1U);
  EXPECT_EQ(recorder_.checkpoints[0].range, (RowRange{0, 20, 60}));
  EXPECT_EQ(recorder_.checkpoints[0].rows_computed, 40);
  const Int64s values = Stored(0);
  ASSERT_EQ(values.size(), 40U);
  EXPECT_EQ(values[0], 1020);
  EXPECT_EQ(values[39], 1059);
}

// Passes files on to the table, and notes what it was asked to place.
class NotingWriter final : public ColumnWriter {
 public:
  explicit NotingWriter(ColumnWriter& other) : other_(other) {}
  Result<std::unique_ptr<ColumnFile>> Create(const std::string& path, const std::string& pages_path) override {
    return other_.Create(path, pages_path);
  }
  Result<ClosedFile> Place(const std::string&, const std::string& pages_path, ClosedFile closed) override {
    placed.emplace_back(pages_path, closed.size_bytes);
    return ClosedFile{4096, PlacedRegion{"0123456789abcdef", 8192, 4096, 7}};
  }
  std::vector<std::pair<std::string, int64_t>> placed;

 private:
  ColumnWriter& other_;
};

TEST_F(ApplierTest, APartOfAFragmentIsPlacedAndAWholeOneIsNot) {
  NotingWriter writer(table_);
  Applier applier({table_, udf_, merger_, writer, checkpoints_, clock_, *type_.get()}, cut_, 1, "w0", "memory");
  TaskOrder order{Task{7, 1, {{0, 0, 100}}}, {"0123456789abcdef"}};
  order.fragment_rows = {100};
  ASSERT_TRUE(applier.Run(order, recorder_, &failed_at_).ok());
  EXPECT_TRUE(writer.placed.empty());
  EXPECT_EQ(recorder_.checkpoints[0].times.bytes_staged, 0);
  // The whole fragment is asked for, but cut.
  cut_.shared_checkpoint_bytes = cut_.checkpoint_bytes = 30 * 8;
  Applier cutting({table_, udf_, merger_, writer, checkpoints_, clock_, *type_.get()}, cut_, 1, "w1", "memory");
  ASSERT_TRUE(cutting.Run(order, recorder_, &failed_at_).ok());
  ASSERT_EQ(writer.placed.size(), 4U);
  EXPECT_EQ(writer.placed[0].first, "memory/_leman/checkpoints/c/0-0123456789abcdef.pages");
  EXPECT_EQ(recorder_.checkpoints.size(), 5U);
  EXPECT_EQ(recorder_.checkpoints[1].size_bytes, 4096);
  EXPECT_EQ(recorder_.checkpoints[1].times.bytes_staged, writer.placed[0].second);
  EXPECT_TRUE(ParseRegionFileName(recorder_.checkpoints[1].path).has_value());
}

TEST_F(ApplierTest, APartOfAFragmentIsCutSooner) {
  cut_.shared_checkpoint_bytes = 20 * 8;
  cut_.checkpoint_bytes = 60 * 8;
  Applier applier({table_, udf_, merger_, table_, checkpoints_, clock_, *type_.get()}, cut_, 1, "w0", "memory");
  TaskOrder order{Task{7, 1, {{0, 0, 100}}}, {"0123456789abcdef"}};
  order.fragment_rows = {100};
  ASSERT_TRUE(applier.Run(order, recorder_, &failed_at_).ok());
  std::vector<int64_t> ends;
  for (const CheckpointDone& done : recorder_.checkpoints) ends.push_back(done.range.end);
  EXPECT_EQ(ends, (std::vector<int64_t>{60, 80, 100}));
}

TEST_F(ApplierTest, OfTheSelectedRowsOnlyTheListedOnesAreComputed) {
  ASSERT_TRUE(RunListed({{0, 15, 45}}, "x is odd", {9, 17, 18, 33, 44, 45}).ok());
  EXPECT_EQ(udf_.calls, 2);
  const Int64s values = Stored(0);
  EXPECT_EQ(values[2], 1017);
  EXPECT_EQ(values[18], 1033);
  EXPECT_EQ(std::count(values.begin(), values.end(), std::nullopt), 28);
}

TEST_F(ApplierTest, CutsAtCheckpointRowsWhereTheyAreGiven) {
  cut_.checkpoint_rows = 15;
  ASSERT_TRUE(Run({{0, 0, 40}}).ok());
  std::vector<RowRange> ranges;
  for (const auto& done : recorder_.checkpoints) ranges.push_back(done.range);
  EXPECT_EQ(ranges, (std::vector<RowRange>{{0, 0, 15}, {0, 15, 30}, {0, 30, 40}}));
}

TEST_F(ApplierTest, CutsByTimeWhenTheFunctionIsSlow) {
  udf_.on_call = [this] { clock_.AdvanceNs(3'000'000'000); };
  ASSERT_TRUE(Run({{0, 0, 40}}).ok());
  EXPECT_EQ(recorder_.checkpoints.size(), 2U);
}

TEST_F(ApplierTest, NeverPutsTwoFragmentsIntoOneCheckpoint) {
  table_.AddFragment(1, {7, 8, 9});
  ASSERT_TRUE(Run({{0, 0, 100}, {1, 0, 3}}).ok());
  ASSERT_EQ(recorder_.checkpoints.size(), 2U);
  EXPECT_EQ(recorder_.checkpoints[1].range, (RowRange{1, 0, 3}));
  EXPECT_EQ(Stored(1), (Int64s{1007, 1008, 1009}));
}

TEST_F(ApplierTest, DeletedRowsAreNullAndNotComputed) {
  table_.DeleteRow(0, 3);
  ASSERT_TRUE(Run({{0, 0, 5}}, "", true).ok());
  EXPECT_EQ(Stored(0), (Int64s{1000, 1001, 1002, std::nullopt, 1004}));
  EXPECT_EQ(udf_.calls, 4);
  EXPECT_EQ(recorder_.checkpoints[0].rows_computed, 4);
}

TEST_F(ApplierTest, RowsThatAreNotSelectedKeepTheirValue) {
  ASSERT_TRUE(files_.Put("data/old.lance", testing::EncodeColumn(Int64s(100, -5))).ok());
  ASSERT_TRUE(table_.Commit(1, {FragmentUpdate{0, 100, "old.lance"}}, {}).ok());
  ASSERT_TRUE(Run({{0, 0, 4}}, "x is odd").ok());
  EXPECT_EQ(Stored(0), (Int64s{-5, 1001, -5, 1003}));
  EXPECT_EQ(udf_.calls, 2);
}

TEST_F(ApplierTest, AFailingRowIsNamedAndEarlierCheckpointsStay) {
  cut_.checkpoint_rows = 10;
  udf_.poison = 25;
  const Status status = Run({{0, 0, 40}});
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().kind, ErrorKind::kUserFunction);
  EXPECT_EQ(failed_at_, (RowRange{0, 25, 26}));
  EXPECT_EQ(recorder_.checkpoints.size(), 2U);
}

TEST_F(ApplierTest, WhatWasComputedBeforeAFailingCallIsCheckpointed) {
  udf_.poison = 25;
  const Status status = Run({{0, 0, 40}});
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(failed_at_, (RowRange{0, 25, 26}));
  ASSERT_EQ(recorder_.checkpoints.size(), 1U);
  EXPECT_EQ(recorder_.checkpoints[0].range, (RowRange{0, 0, 20}));
}

TEST_F(ApplierTest, ShrinksToWhatIsAskedFor) {
  udf_.on_call = [this] { recorder_.shrink = 25; };
  ASSERT_TRUE(Run({{0, 0, 100}}).ok());
  EXPECT_EQ(recorder_.shrunk, 25);
  EXPECT_EQ(udf_.calls, 25);
  EXPECT_EQ(recorder_.checkpoints.back().range.end, 25);
}

TEST_F(ApplierTest, KeepsWhatIsDoneWhenAskedForLess) {
  int calls = 0;
  udf_.on_call = [&] {
    if (++calls == 3) recorder_.shrink = 5;
  };
  ASSERT_TRUE(Run({{0, 0, 100}}).ok());
  EXPECT_EQ(recorder_.shrunk, 30);
  EXPECT_EQ(recorder_.checkpoints.back().range, (RowRange{0, 0, 30}));
}

TEST_F(ApplierTest, StopsWhenCancelled) {
  udf_.on_call = [this] { recorder_.cancel = true; };
  EXPECT_EQ(Run({{0, 0, 100}}).error().kind, ErrorKind::kCancelled);
  EXPECT_EQ(udf_.calls, 10);
}

TEST(BatchCutter, GrowsFromOneRowToAFullBatch) {
  BatchCutter cutter(CutOptions{});
  EXPECT_EQ(cutter.NextCallRows(), 1);
  for (int i = 0; i < 6; ++i) cutter.OnCall(cutter.NextCallRows(), 1000, 8);
  EXPECT_EQ(cutter.NextCallRows(), 10240);
}

TEST(BatchCutter, KeepsSlowCallsShort) {
  BatchCutter cutter(CutOptions{});
  cutter.OnCall(1, 1'000'000'000, 8);
  EXPECT_EQ(cutter.NextCallRows(), 1);
  cutter.OnCall(1, 1'000'000, 8);
  EXPECT_EQ(cutter.NextCallRows(), 8);
}

TEST(BatchCutter, KeepsLargeOutputsWithinTheirMemory) {
  BatchCutter cutter(CutOptions{});
  for (int i = 0; i < 10; ++i) cutter.OnCall(cutter.NextCallRows(), 1000, cutter.NextCallRows() << 20);
  EXPECT_LE(cutter.NextCallRows(), 32);
}

TEST(BatchCutter, KeepsAllPlacesOfConcurrentRowsFull) {
  CutOptions options;
  options.first_call_rows = options.rows_in_flight = 100;
  BatchCutter cutter(options);
  EXPECT_EQ(cutter.NextCallRows(), 100);
  cutter.OnCall(100, 10'000'000'000, 100);  // slow rows: still more than there are places
  EXPECT_EQ(cutter.NextCallRows(), 400);
  cutter.OnCall(400, 10'000'000'000, int64_t{400} << 20);  // large rows: as many as there are places
  EXPECT_EQ(cutter.NextCallRows(), 100);
}

TEST(BatchCutter, CutsAfterTimeOrVeryManyBytes) {
  BatchCutter cutter(CutOptions{});
  cutter.OnCall(100, 4'900'000'000, 200 << 20);
  EXPECT_FALSE(cutter.CheckpointDue());
  cutter.OnCall(100, 200'000'000, 1);
  EXPECT_TRUE(cutter.CheckpointDue());
  cutter.OnCheckpoint();
  EXPECT_FALSE(cutter.CheckpointDue());
  cutter.OnCall(100, 1, 1LL << 30);
  EXPECT_TRUE(cutter.CheckpointDue());
}

TEST(BatchCutter, WaitsForThePartsThatAStoreCanCopy) {
  CutOptions options;
  options.min_part_bytes = 6 << 20;
  constexpr int64_t kSecond = 1'000'000'000;
  BatchCutter cutter(options);
  cutter.OnCall(20, 5 * kSecond, 20 << 17);  // 128 KiB each
  EXPECT_FALSE(cutter.CheckpointDue(true, 1000));
  EXPECT_TRUE(cutter.CheckpointDue(true, 0));
  cutter.OnCall(30, 7 * kSecond, 30 << 17);
  EXPECT_TRUE(cutter.CheckpointDue(true, 1000));  // 6.25 MiB
  EXPECT_FALSE(cutter.CheckpointDue(true, 20));   // the rest would be a part too small
  EXPECT_TRUE(cutter.CheckpointDue(true, 49));
  cutter.OnCheckpoint();
  cutter.OnCall(2, 15 * kSecond, 2 << 17);  // too slow to wait for
  EXPECT_TRUE(cutter.CheckpointDue(true, 1000));
  EXPECT_TRUE(cutter.CheckpointDue(true, 2));
  cutter.OnCheckpoint();
  cutter.OnCall(1000, 5 * kSecond, 8000);  // small values
  EXPECT_TRUE(cutter.CheckpointDue(true, 100'000));
  cutter.OnCheckpoint();
  cutter.OnCall(256, kSecond, 256 << 20);
  EXPECT_TRUE(cutter.CheckpointDue(true, 6));
  EXPECT_FALSE(cutter.CheckpointDue(true, 5));
  options.checkpoint_rows = 10;
  BatchCutter exact(options);
  exact.OnCall(10, 1, 10);
  EXPECT_TRUE(exact.CheckpointDue(true, 5));
}

TEST(BatchCutter, GivesRowsAwayWhereBothPartsCanBeCopied) {
  CutOptions options;
  EXPECT_EQ(BatchCutter(options).RowsToKeep(50, 40, 60), 50);
  options.min_part_bytes = 6 << 20;
  BatchCutter cutter(options);
  EXPECT_EQ(cutter.RowsToKeep(50, 40, 60), 50);  // nothing is known yet
  cutter.OnCall(4, 40'000'000, 4 << 20);         // 1 MiB and 10 ms each: parts of 7
  EXPECT_EQ(cutter.RowsToKeep(50, 4, 100), 50);
  EXPECT_EQ(cutter.RowsToKeep(10, 4, 16), 9);  // 9 rows and 7
  EXPECT_EQ(cutter.RowsToKeep(5, 4, 30), 7);
  EXPECT_EQ(cutter.RowsToKeep(7, 4, 10), 10);   // too few for two
  cutter.OnCall(4, 4'000'000'000, 4 << 20);     // a second each
  EXPECT_EQ(cutter.RowsToKeep(12, 8, 16), 12);  // both have parts, the first with what is in hand
  EXPECT_EQ(cutter.RowsToKeep(13, 8, 16), 13);
  cutter.OnCheckpoint();
  EXPECT_EQ(cutter.RowsToKeep(10, 8, 12), 10);  // too slow to leave alone
  cutter.OnCall(4, 40'000'000, 4 << 10);
  EXPECT_EQ(cutter.RowsToKeep(14, 12, 16), 14);  // small values are encoded again
  options.checkpoint_rows = 16;
  BatchCutter exact(options);
  exact.OnCall(8, 80'000'000, 8 << 20);
  EXPECT_EQ(exact.RowsToKeep(30, 24, 100), 32);
  EXPECT_EQ(exact.RowsToKeep(41, 24, 100), 48);
  EXPECT_EQ(exact.RowsToKeep(28, 24, 31), 31);
  options.checkpoint_rows = 1 << 16;  // Of small values, but large enough to be copied.
  BatchCutter many(options);
  many.OnCall(1000, 1'000'000, 1000 << 8);
  EXPECT_EQ(many.RowsToKeep(80'000, 1000, 200'000), 1 << 16);
}

}  // namespace
}  // namespace leman
