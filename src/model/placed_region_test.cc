#include "model/placed_region.h"

#include <gtest/gtest.h>

namespace leman {
namespace {

const RegionName kName{{3, 10, 20}, "0123456789abcdef", {"fedcba9876543210", 4096, 77, 0x00c0ffee}};

TEST(PlacedRegion, NameSaysEverythingAndIsReadBack) {
  const std::string name = RegionFileName(kName);
  EXPECT_EQ(name, "3-0123456789abcdef-10-20-fedcba9876543210-4096-77-00c0ffee.region");
  const auto parsed = ParseRegionFileName(name);
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->range, kName.range);
  EXPECT_EQ(parsed->fragment_key, kName.fragment_key);
  EXPECT_EQ(parsed->region, kName.region);
}

TEST(PlacedRegion, OtherNamesAreRefused) {
  for (const char* name : {"", ".region", "3-0123456789abcdef-10-20.lance",
                           "3-0123456789abcdef-20-10-fedcba9876543210-4096-77-00c0ffee.region",
                           "3-0123456789abcdef-10-20-fedcba9876543210-04096-77-00c0ffee.region",
                           "3-0123456789abcdef-10-20-fedcba9876543210-4096-4097-00c0ffee.region",
                           "3-0123456789abcdef-10-20-fedcba987654321-4096-77-00c0ffee.region",
                           "3-0123456789abcdef-10-20-fedcba9876543210-4096-77-00c0ffeg.region",
                           "3-0123456789abcdef-10-20-fedcba9876543210-4096-77-00c0ffee-1.region"}) {
    EXPECT_FALSE(ParseRegionFileName(name).has_value()) << name;
  }
}

TEST(PlacedRegion, PagesFilesAreKnownByName) {
  EXPECT_EQ(PagesFileName(3, "0123456789abcdef"), "3-0123456789abcdef.pages");
  EXPECT_TRUE(IsPagesFileName("3-0123456789abcdef.pages"));
  EXPECT_FALSE(IsPagesFileName("x-0123456789abcdef.pages"));
  EXPECT_FALSE(IsPagesFileName("3-0123456789abcdef-1.pages"));
  EXPECT_FALSE(IsPagesFileName("3-0123456789abcdef.lance"));
}

}  // namespace
}  // namespace leman
