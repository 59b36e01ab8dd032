#include "base/utf8.h"

#include <gtest/gtest.h>

namespace leman {
namespace {

TEST(ValidUtf8, LeavesValidTextAsItIs) {
  for (const std::string text :
       {"", "plain", "Ä€\xF0\x9F\x99\x82", "\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80\xED\x9F\xBF\xF4\x8F\xBF\xBF"}) {
    EXPECT_EQ(ValidUtf8(text), text);
  }
}

TEST(ValidUtf8, WritesOtherBytesAsHex) {
  EXPECT_EQ(ValidUtf8("a\xFF\xFE z"), "a\\xff\\xfe z");
  EXPECT_EQ(ValidUtf8("cut \xE2\x82"), "cut \\xe2\\x82");
  EXPECT_EQ(ValidUtf8("\x80"), "\\x80");
  EXPECT_EQ(ValidUtf8("\xC0\xAF"), "\\xc0\\xaf") << "overlong";
  EXPECT_EQ(ValidUtf8("\xE0\x9F\xBF"), "\\xe0\\x9f\\xbf") << "overlong";
  EXPECT_EQ(ValidUtf8("\xED\xA0\x80"), "\\xed\\xa0\\x80") << "a surrogate";
  EXPECT_EQ(ValidUtf8("\xF4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80") << "beyond Unicode";
}

}  // namespace
}  // namespace leman
