#include "base/crc32c.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace leman {
namespace {

TEST(Crc32c, KnownValues) {
  // RFC 3720, B.4, and the usual check value.
  EXPECT_EQ(Crc32c("123456789", 9), 0xe3069283U);
  EXPECT_EQ(Crc32c(std::string(32, '\0').data(), 32), 0x8a9136aaU);
  EXPECT_EQ(Crc32c(std::string(32, '\xff').data(), 32), 0x62a8ab43U);
  EXPECT_EQ(Crc32c("", 0), 0U);
}

TEST(Crc32c, BothWaysAgreeAndCanBeContinued) {
  std::mt19937 random(1);
  std::string bytes(1000, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  for (size_t size = 0; size < bytes.size(); size += 7) {
    const uint32_t whole = Crc32c(bytes.data(), size);
    EXPECT_EQ(Crc32cPortable(bytes.data(), size), whole);
    const size_t cut = size / 3;
    EXPECT_EQ(Crc32c(bytes.data() + cut, size - cut, Crc32c(bytes.data(), cut)), whole);
  }
}

}  // namespace
}  // namespace leman
