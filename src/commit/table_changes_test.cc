#include "commit/table_changes.h"

#include <gtest/gtest.h>

namespace leman {
namespace {

TEST(TableChangesTest, ARestoredOrOverwrittenTableIsAnother) {
  EXPECT_TRUE(CheckSameTable({}).ok());
  EXPECT_TRUE(CheckSameTable({{5, "Append"}, {6, "Delete"}, {7, "Rewrite"}, {8, "Update", true}, {9, ""}}).ok());
  const Status restored = CheckSameTable({{5, "Append"}, {6, "Restore"}});
  ASSERT_FALSE(restored.ok());
  EXPECT_EQ(restored.error().kind, ErrorKind::kConflict);
  EXPECT_NE(restored.error().message.find("restored to an older version while the job ran (version 6)"),
            std::string::npos);
  const Status overwritten = CheckSameTable({{7, "Overwrite"}});
  ASSERT_FALSE(overwritten.ok());
  EXPECT_NE(overwritten.error().message.find("overwritten"), std::string::npos);
}

TEST(TableChangesTest, AnUpdateMovesRowsAnInsertDoesNot) {
  EXPECT_FALSE(AnyRowsMoved({{5, "Update", false}, {6, "Append"}}));
  EXPECT_TRUE(AnyRowsMoved({{5, "Append"}, {6, "Update", true}}));
}

}  // namespace
}  // namespace leman
