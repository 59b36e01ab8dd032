#include "plan/small_parts.h"

#include <gtest/gtest.h>

#include "plan/plan_printer.h"

namespace leman {
namespace {

BackfillSpec Fixed(int64_t rows) {
  BackfillSpec spec;
  spec.copies_in_store = true;
  spec.checkpoint_rows = rows;
  return spec;
}

Plan PlanOf(int64_t rows, size_t fragments) {
  Plan plan;
  plan.rows_total = rows;
  plan.fragments.resize(fragments);
  return plan;
}

TEST(SmallParts, ToldWithWhatTheyCostAndWhatToTake) {
  const std::string note = SmallPartsNote(Fixed(256), 4096, 12'288, 1);
  EXPECT_NE(note.find("checkpoints of 256 rows have about 1.0 MiB"), std::string::npos) << note;
  EXPECT_NE(note.find("about 96 MiB go through the driver"), std::string::npos) << note;
  EXPECT_NE(note.find("take 2048 rows or more"), std::string::npos) << note;
}

TEST(SmallParts, NothingIsToldWhereNothingCouldBeBetter) {
  EXPECT_EQ(SmallPartsNote(Fixed(1280), 4096, 12'288, 1), "");
  EXPECT_EQ(SmallPartsNote(Fixed(256), 4096, 12'288, 5), "");
  EXPECT_EQ(SmallPartsNote(Fixed(256), 0, 12'288, 1), "");
  BackfillSpec local = Fixed(256);
  local.copies_in_store = false;
  EXPECT_EQ(SmallPartsNote(local, 4096, 12'288, 1), "");
  EXPECT_EQ(SmallPartsAdvice(local, PlanOf(12'288, 1)), "");
  BackfillSpec adaptive = Fixed(256);
  adaptive.checkpoint_rows.reset();
  EXPECT_EQ(SmallPartsNote(adaptive, 4096, 12'288, 1), "");
  EXPECT_EQ(SmallPartsAdvice(adaptive, PlanOf(12'288, 1)), "");
  EXPECT_EQ(SmallPartsAdvice(Fixed(256), PlanOf(256, 1)), "");
}

TEST(SmallParts, APlanKnowsTheSizeOfSomeTypes) {
  BackfillSpec spec = Fixed(256);
  spec.value_bytes = 4096;
  EXPECT_NE(PrintPlan(spec, PlanOf(12'288, 1)).find("have about 1.0 MiB"), std::string::npos);
  spec.value_bytes = 0;
  EXPECT_NE(PrintPlan(spec, PlanOf(12'288, 1)).find("values have less than 20480 bytes"), std::string::npos);
}

}  // namespace
}  // namespace leman
