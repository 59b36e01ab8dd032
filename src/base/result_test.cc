#include "base/result.h"

#include <gtest/gtest.h>

namespace leman {
namespace {

Result<int> Half(int n) {
  if (n % 2 != 0) return MakeError(ErrorKind::kInvalidArgument, "n is ", n, ", expected an even number");
  return n / 2;
}

Result<int> Quarter(int n) {
  LEMAN_ASSIGN_OR_RETURN(const int half, Half(n));
  return Half(half);
}

TEST(Result, PropagatesTheFirstError) {
  EXPECT_EQ(*Quarter(8), 2);
  const auto failed = Quarter(6);
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().kind, ErrorKind::kInvalidArgument);
  EXPECT_EQ(failed.error().message, "n is 3, expected an even number");
}

TEST(Result, ContextIsPutBeforeTheMessage) {
  EXPECT_EQ(Half(3).error().WithContext("table t").message, "table t: n is 3, expected an even number");
}

TEST(Result, EveryKindHasAName) {
  EXPECT_EQ(ErrorKindName(ErrorKind::kUnknownOutcome), "unknown outcome");
  EXPECT_EQ(ErrorKindName(ErrorKind::kInternal), "internal");
}

}  // namespace
}  // namespace leman
