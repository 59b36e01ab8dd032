#include "model/checkpoint_key.h"

#include <gtest/gtest.h>

namespace leman {
namespace {

BackfillSpec Spec() {
  BackfillSpec spec;
  spec.column = "y";
  spec.udf_version = "v1";
  spec.output_type = "int64";
  return spec;
}

TEST(CheckpointKey, NamesParseBackToWhatTheyWereMadeOf) {
  const RowRange range{12, 100, 250};
  const std::string key = FragmentKey(FragmentInfo{.id = 12, .input_identity = "a.lance"}, Selection::kAll, "");
  const auto parsed = ParseCheckpointFileName(CheckpointFileName(range, key));
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->range, range);
  EXPECT_EQ(parsed->fragment_key, key);
}

TEST(CheckpointKey, ForeignNamesAreNotCheckpoints) {
  for (const char* name : {"", ".lance", "1-2-3.lance", "x-0123456789abcdef-0-10.lance",
                           "1-0123456789abcdef-10-10.lance", "1-0123456789abcdef-0-10.lance.tmp",
                           "-1-0123456789abcdef-0-10.lance", "1-0123456789abcdef-0-99999999999999999999.lance",
                           "1-0123456789abcdef-0-010.lance", "01-0123456789abcdef-0-10.lance"}) {
    EXPECT_FALSE(ParseCheckpointFileName(name).has_value()) << name;
  }
}

TEST(CheckpointKey, ComputationChangesWithColumnVersionTypeAndWhere) {
  const std::string base = ComputationId(Spec());
  BackfillSpec other = Spec();
  other.column = "z";
  EXPECT_NE(ComputationId(other), base);
  other = Spec();
  other.udf_version = "v2";
  EXPECT_NE(ComputationId(other), base);
  other = Spec();
  other.output_type = "int32";
  EXPECT_NE(ComputationId(other), base);
  other = Spec();
  other.where = "x > 1";
  EXPECT_NE(ComputationId(other), base);
  other = Spec();
  other.concurrency = 99;
  EXPECT_EQ(ComputationId(other), base);
}

TEST(CheckpointKey, CarriedValuesArePartOfAFilteredKeyOnly) {
  FragmentInfo before{.id = 1, .input_identity = "a", .output_file = "old"};
  FragmentInfo after{.id = 1, .input_identity = "a", .output_file = "new"};
  EXPECT_EQ(FragmentKey(before, Selection::kAll, ""), FragmentKey(after, Selection::kAll, ""));
  EXPECT_NE(FragmentKey(before, Selection::kFilter, "x"), FragmentKey(after, Selection::kFilter, "x"));
}

TEST(DoneRecord, SurvivesTheFileName) {
  const DoneRecord record{DoneScope::kPartial, DoneComputation(Spec(), FragmentInfo{.input_identity = "a"}), "0"};
  const auto parsed = ParseDoneFileName(DoneFileName(record, "1a2b3c4d"));
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->scope, DoneScope::kPartial);
  EXPECT_EQ(parsed->computation, record.computation);
  EXPECT_EQ(parsed->where, "0");
}

TEST(DoneRecord, ForeignFilesHaveNone) {
  for (const char* name : {"0101.lance", "leman-f12-0-1.lance", "leman-x0123456789abcdef01234567-0-1.lance",
                           "leman-f0123456789abcdef01234567-0-1", "leman-f0123456789abcdef0123456Z-0-1.lance",
                           "leman-f0123456789abcdef01234567-0123-1.lance"}) {
    EXPECT_FALSE(ParseDoneFileName(name).has_value()) << name;
  }
}

}  // namespace
}  // namespace leman
