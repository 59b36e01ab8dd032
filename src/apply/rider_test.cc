#include "apply/rider.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "apply/applier.h"
#include "io/memory_object_store.h"
#include "table/testing/memory_table.h"

namespace leman {
namespace {

using testing::Int64s;

// x * factor; fails on `poison`.
class Times final : public Udf {
 public:
  explicit Times(int64_t factor) : factor_(factor) {}
  Result<OwnedArray> Apply(OwnedArray inputs, const RowMask* selected, int64_t* failed_row) override {
    Int64s values = testing::ReadInt64Array(*inputs->children[0]);
    for (size_t i = 0; i < values.size(); ++i) {
      if (selected != nullptr && (*selected)[i] == 0) {
        values[i].reset();
        continue;
      }
      ++calls;
      if (values[i] == poison) {
        *failed_row = static_cast<int64_t>(i);
        return MakeError(ErrorKind::kUserFunction, "ValueError: bad row");
      }
      if (values[i]) values[i] = *values[i] * factor_;
    }
    return testing::MakeInt64Array(values);
  }
  int64_t calls = 0;
  std::optional<int64_t> poison;

 private:
  int64_t factor_;
};

class NoMerger final : public ArrayMerger {
 public:
  Result<OwnedArray> Merge(const RowMask&, OwnedArray computed, OwnedArray) override { return computed; }
};

class Recorder final : public TaskObserver {
 public:
  void OnProgress(int64_t) override {}
  void OnCheckpoint(const CheckpointDone&) override { ++checkpoints; }
  void OnShrunk(int64_t) override {}
  [[nodiscard]] bool cancelled() const override { return false; }
  [[nodiscard]] int64_t TakeShrinkRequest() override { return -1; }
  int64_t checkpoints = 0;
};

class RiderTest : public ::testing::Test {
 protected:
  RiderTest() {
    Int64s x;
    for (int64_t i = 0; i < 100; ++i) x.push_back(i);
    table_.AddFragment(0, x);
    table_.AddFragment(1, x);
    cut_.batch_rows = 10;
    cut_.batch_rows_fixed = true;
  }

  Status Run(const RowRange& rows, int32_t attempt = 1, const std::string& filter = "", bool deleted = false) {
    ApplierPorts ports{table_, udf_, merger_, table_, checkpoints_, clock_, *type_.get()};
    ports.riders.push_back(std::make_unique<Rider>(RiderPorts{rider_udf_, table_, clock_, *type_.get()},
                                                   Rider::Columns{0, 1}, riders_,
                                                   std::map<int64_t, std::string>{{0, kKey}}, "w0r0", "memory"));
    Applier applier(std::move(ports), cut_, 1, "w0", "memory");
    TaskOrder order{Task{7, attempt, {rows}}, {"0123456789abcdef"}, filter, deleted};
    RowRange failed_at;
    return applier.Run(order, recorder_, &failed_at);
  }

  std::vector<RowRange> Ranges() {
    std::vector<RowRange> ranges;
    const auto stored = riders_.List();
    for (const StoredCheckpoint& checkpoint : *stored) {
      EXPECT_EQ(checkpoint.fragment_key, kKey);
      ranges.push_back(checkpoint.range);
    }
    std::sort(ranges.begin(), ranges.end(), [](const auto& a, const auto& b) { return a.start < b.start; });
    return ranges;
  }
  Int64s Stored() {
    const auto stored = riders_.List();
    return testing::DecodeColumn(*files_.Get(riders_.KeyOf(stored->front().file_name)));
  }

  static constexpr const char* kKey = "fedcba9876543210";
  MemoryObjectStore files_;
  testing::MemoryTable table_{files_};
  CheckpointStore checkpoints_{files_, "_leman/checkpoints/c"};
  CheckpointStore riders_{files_, "_leman/checkpoints/r"};
  ManualClock clock_;
  Times udf_{10};
  Times rider_udf_{2};
  NoMerger merger_;
  OwnedSchema type_ = testing::MakeSchema("l", "y");
  CutOptions cut_;
  Recorder recorder_;
};

TEST_F(RiderTest, WritesCheckpointsOfItsOwn) {
  ASSERT_TRUE(Run({0, 20, 60}).ok());
  ASSERT_EQ(Ranges(), (std::vector<RowRange>{{0, 20, 60}}));
  const Int64s values = Stored();
  ASSERT_EQ(values.size(), 40U);
  EXPECT_EQ(values[0], 40);
  EXPECT_EQ(values[39], 118);
  EXPECT_EQ(recorder_.checkpoints, 1);
}

TEST_F(RiderTest, AFailureEndsTheRideNotTheTask) {
  cut_.checkpoint_rows = 10;
  rider_udf_.poison = 35;
  ASSERT_TRUE(Run({0, 20, 60}).ok());
  EXPECT_EQ(recorder_.checkpoints, 4);
  EXPECT_EQ(udf_.calls, 40);
  EXPECT_EQ(Ranges(), (std::vector<RowRange>{{0, 20, 30}}));
  EXPECT_EQ(files_.List("_leman/checkpoints/r")->size(), 1U) << "something unfinished was left";
}

TEST_F(RiderTest, RidesAgainInTheNextTask) {
  rider_udf_.poison = 25;
  ASSERT_TRUE(Run({0, 20, 40}).ok());
  ASSERT_TRUE(Run({0, 40, 60}).ok());
  EXPECT_EQ(Ranges(), (std::vector<RowRange>{{0, 40, 60}}));
}

TEST_F(RiderTest, ATaskThatFailsLeavesWhatWasComputedBefore) {
  cut_.checkpoint_rows = 20;
  udf_.poison = 55;
  EXPECT_FALSE(Run({0, 20, 100}).ok());
  EXPECT_EQ(Ranges(), (std::vector<RowRange>{{0, 20, 40}, {0, 40, 50}}));
  EXPECT_EQ(files_.List("_leman/checkpoints/r")->size(), 2U);
}

TEST_F(RiderTest, HasNoPartInWhatIsNotItsToCompute) {
  ASSERT_TRUE(Run({0, 0, 20}, 2).ok());
  ASSERT_TRUE(Run({0, 0, 20}, 1, "x is odd").ok());
  ASSERT_TRUE(Run({1, 0, 20}).ok());
  EXPECT_EQ(rider_udf_.calls, 0);
  EXPECT_TRUE(Ranges().empty());
}

TEST_F(RiderTest, DeletedRowsAreNull) {
  table_.DeleteRow(0, 3);
  table_.DeleteRow(0, 4);
  ASSERT_TRUE(Run({0, 0, 10}, 1, "", true).ok());
  const Int64s values = Stored();
  EXPECT_EQ(rider_udf_.calls, 8);
  EXPECT_EQ(values[3], std::nullopt);
  EXPECT_EQ(values[5], 10);
}

}  // namespace
}  // namespace leman
