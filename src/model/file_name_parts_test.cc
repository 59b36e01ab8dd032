#include "model/file_name_parts.h"

#include <gtest/gtest.h>

namespace leman {
namespace {

TEST(FileNamePartsTest, NamesAreSplitAtEachSeparator) {
  EXPECT_EQ(SplitName("a-b--c", '-'), (std::vector<std::string_view>{"a", "b", "", "c"}));
  EXPECT_EQ(SplitName("", '-'), (std::vector<std::string_view>{""}));
}

TEST(FileNamePartsTest, HexadecimalDigitsAreOfLowerCase) {
  EXPECT_TRUE(IsHex("09af"));
  EXPECT_TRUE(IsHex("09af", 4));
  EXPECT_FALSE(IsHex("09af", 5));
  for (const char* text : {"", "A", "g", "0x1", "1 "}) EXPECT_FALSE(IsHex(text)) << text;
}

TEST(FileNamePartsTest, ACountHasOneForm) {
  EXPECT_EQ(ParseCount("0"), 0);
  EXPECT_EQ(ParseCount("9223372036854775807"), INT64_MAX);
  for (const char* text : {"", "00", "01", "-1", "+1", " 1", "1 ", "1x", "9223372036854775808"})
    EXPECT_EQ(ParseCount(text), std::nullopt) << text;
}

TEST(FileNamePartsTest, AChecksumIsReadAsItIsWritten) {
  EXPECT_EQ(CrcText(0x00c0ffee), "00c0ffee");
  for (const uint32_t crc : {0u, 1u, 0x00c0ffeeu, 0xffffffffu}) EXPECT_EQ(ParseCrc(CrcText(crc)), crc);
  for (const char* text : {"", "0", "00C0FFEE", "000c0ffee", "00c0ffeg"})
    EXPECT_EQ(ParseCrc(text), std::nullopt) << text;
}

}  // namespace
}  // namespace leman
