#include "udf/native_udf.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "leman/udf_schema.h"
#include "leman/udf_values.h"

namespace leman {
namespace {

constexpr const char* kFolder = LEMAN_NATIVE_TESTS;

std::string PathOf(const std::string& library) { return std::string(kFolder) + "/lib" + library + ".so"; }

std::shared_ptr<const NativeLibrary> Sample() {
  auto library = NativeLibrary::Open(PathOf("sample_udfs"));
  EXPECT_TRUE(library.ok()) << (library.ok() ? "" : library.error().message);
  return library.value();
}

// A column made by the library's own result types; nullopt is null.
template <typename T>
ArrowArray ColumnOf(const std::vector<std::optional<T>>& values) {
  udf::Results<T> results(static_cast<int64_t>(values.size()));
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i]) {
      results.Set(static_cast<int64_t>(i), *values[i]);
    } else {
      results.SetNull(static_cast<int64_t>(i));
    }
  }
  ArrowArray array{};
  results.Finish(static_cast<int64_t>(values.size()), &array);
  return array;
}

OwnedArray BatchOf(std::vector<ArrowArray> columns) {
  auto owner = std::make_unique<udf::ArrayOwner>();
  const int64_t rows = columns.front().length;
  owner->buffers.emplace_back();
  owner->children = std::move(columns);
  ArrowArray batch{};
  udf::Export(std::move(owner), rows, 0, &batch);
  return OwnedArray(&batch);
}

// Makes null what it is told to, and counts.
class FixedPolicy final : public NativeRowPolicy {
 public:
  explicit FixedPolicy(std::vector<NativeRowAction> actions) : actions_(std::move(actions)) {}
  NativeRowAction OnRow(int64_t row, const std::string& message) override {
    const NativeRowAction action = actions_[std::min(asked_++, actions_.size() - 1)];
    if (action == NativeRowAction::kNull) skipped_.push_back({0, row, "error", message, "", 1});
    return action;
  }
  std::vector<SkippedRow> TakeSkipped() override { return std::exchange(skipped_, {}); }

 private:
  std::vector<NativeRowAction> actions_;
  size_t asked_ = 0;
  std::vector<SkippedRow> skipped_;
};

class NativeUdfTest : public ::testing::Test {
 protected:
  // The function `name` of the sample library, with the columns that it describes.
  std::unique_ptr<NativeUdf> Make(const std::string& name, const std::string& parameters = "{}",
                                  std::unique_ptr<NativeRowPolicy> policy = nullptr) {
    const auto library = Sample();
    auto udf = library->Find(name);
    EXPECT_TRUE(udf.ok());
    auto described = library->Describe(**udf, parameters);
    EXPECT_TRUE(described.ok());
    auto state = NativeState::Make(library, name, parameters, *described->inputs.get());
    if (!state.ok()) {
      error_ = state.error();
      return nullptr;
    }
    return std::make_unique<NativeUdf>(*state, std::move(described->output), std::move(policy));
  }
  OwnedArray Run(NativeUdf& udf, OwnedArray batch, const RowMask* selected = nullptr) {
    auto result = udf.Apply(std::move(batch), selected, &failed_row_);
    if (result.ok()) return std::move(result).value();
    error_ = result.error();
    return {};
  }
  template <typename T>
  static std::vector<std::optional<T>> Values(const OwnedArray& array, const char* format) {
    ArrowSchema schema{};
    schema.format = format;
    const udf::Column<std::optional<T>> column(*array.get(), schema, 0, array->length);
    std::vector<std::optional<T>> values;
    for (int64_t row = 0; row < column.size(); ++row) values.push_back(column[row]);
    return values;
  }

  Error error_;
  int64_t failed_row_ = -1;
};

TEST_F(NativeUdfTest, ALibrarySaysWhatItHas) {
  const auto library = Sample();
  const auto missing = library->Find("word_cuont");
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.error().message.find("no function 'word_cuont'; it has: "), std::string::npos);
  const auto described = library->Describe(**library->Find("is_long"), "{}");
  ASSERT_TRUE(described.ok());
  ASSERT_EQ(described->inputs->n_children, 2);
  EXPECT_STREQ(described->inputs->children[0]->name, "text");
  EXPECT_STREQ(described->inputs->children[0]->format, "u");
  EXPECT_STREQ(described->inputs->children[1]->name, "limit");
  EXPECT_STREQ(described->inputs->children[1]->format, "l");
  EXPECT_STREQ(described->output->format, "b");
  const auto size = library->Describe(**library->Find("size"), "{}");
  ASSERT_EQ(size->output->n_children, 2);
  EXPECT_STREQ(size->output->children[0]->name, "bytes");
  EXPECT_STREQ(size->output->children[1]->name, "empty");
}

TEST_F(NativeUdfTest, NumbersWithAndWithoutNulls) {
  const auto udf = Make("plus_one");
  EXPECT_EQ(Values<int64_t>(Run(*udf, BatchOf({ColumnOf<int64_t>({1, 2, -3})})), "l"),
            (std::vector<std::optional<int64_t>>{2, 3, -2}));
  EXPECT_EQ(Values<int64_t>(Run(*udf, BatchOf({ColumnOf<int64_t>({1, std::nullopt, 3})})), "l"),
            (std::vector<std::optional<int64_t>>{2, std::nullopt, 4}));
  EXPECT_EQ(Values<double>(Run(*Make("or_zero"), BatchOf({ColumnOf<double>({1.5, std::nullopt})})), "g"),
            (std::vector<std::optional<double>>{1.5, 0.0}));
  EXPECT_EQ(Values<double>(Run(*Make("root"), BatchOf({ColumnOf<double>({4.0, -1.0})})), "g"),
            (std::vector<std::optional<double>>{2.0, std::nullopt}));
}

TEST_F(NativeUdfTest, SelectedRowsAndOffsets) {
  const RowMask selected{0, 1, 1};
  OwnedArray batch = BatchOf({ColumnOf<int64_t>({10, 20, 30, 40})});
  batch->offset = 1;
  batch->length = 3;
  EXPECT_EQ(Values<int64_t>(Run(*Make("plus_one"), std::move(batch), &selected), "l"),
            (std::vector<std::optional<int64_t>>{std::nullopt, 31, 41}));
}

TEST_F(NativeUdfTest, TextsBytesListsStructs) {
  const OwnedArray counts =
      Run(*Make("word_count"), BatchOf({ColumnOf<std::string>({"to be or", "", std::nullopt, " a "})}));
  EXPECT_EQ(Values<int32_t>(counts, "i"), (std::vector<std::optional<int32_t>>{3, 0, std::nullopt, 1}));
  const OwnedArray shouted = Run(*Make("shout"), BatchOf({ColumnOf<std::string>({"hey", std::nullopt, ""})}));
  EXPECT_EQ(Values<std::string>(shouted, "u"), (std::vector<std::optional<std::string>>{"hey!", std::nullopt, "!"}));
  const OwnedArray halves = Run(*Make("halves"), BatchOf({ColumnOf<int32_t>({5, 0})}));
  ArrowSchema list{};
  list.format = "+l";
  const udf::Column<std::span<const int32_t>> lists(*halves.get(), list, 0, 2);
  EXPECT_EQ(std::vector<int32_t>(lists[0].begin(), lists[0].end()), (std::vector<int32_t>{5, 2, 1}));
  EXPECT_TRUE(lists[1].empty());
  const OwnedArray pairs = Run(*Make("pair"), BatchOf({ColumnOf<float>({2.0F, std::nullopt})}));
  EXPECT_EQ(pairs->null_count, 1);
  EXPECT_EQ(pairs->children[0]->length, 4);
  const OwnedArray sizes = Run(*Make("size"), BatchOf({ColumnOf<std::string>({"abc", ""})}));
  ASSERT_EQ(sizes->n_children, 2);
  EXPECT_EQ(static_cast<const int64_t*>(sizes->children[0]->buffers[1])[0], 3);
}

TEST_F(NativeUdfTest, BatchFunctionsSeeWholeColumns) {
  const OwnedArray sums = Run(*Make("running_sum"), BatchOf({ColumnOf<int64_t>({1, std::nullopt, 3})}));
  EXPECT_EQ(Values<int64_t>(sums, "l"), (std::vector<std::optional<int64_t>>{1, 1, 4}));
  EXPECT_TRUE(Run(*Make("too_short"), BatchOf({ColumnOf<int64_t>({1, 2})})).empty());
  EXPECT_EQ(error_.kind, ErrorKind::kUserFunction);
  EXPECT_NE(error_.message.find("returned 0 values for a batch of 2 rows"), std::string::npos);
}

std::vector<std::optional<std::vector<float>>> ThreeLists() {
  return {{{1.0F, 3.0F}}, {std::vector<float>{}}, {{5.0F}}};
}

TEST_F(NativeUdfTest, AClassMayTakeBatchesWithoutNullsAtOnce) {
  using Sums = std::vector<std::optional<int64_t>>;
  const auto udf = Make("adding");
  const auto sums = [&](const Sums& column) { return Values<int64_t>(Run(*udf, BatchOf({ColumnOf(column)})), "l"); };
  EXPECT_EQ(sums({1, 2}), (Sums{1001, 1002}));
  EXPECT_EQ(sums({}), Sums{});
  EXPECT_EQ(sums({1, std::nullopt}), (Sums{2, std::nullopt}));
  EXPECT_EQ(sums({-1, 2}), (Sums{0, 3}));  // It leaves these to be called one by one.
  const RowMask selected{1, 0};
  EXPECT_EQ(Values<int64_t>(Run(*udf, BatchOf({ColumnOf<int64_t>({1, 2})}), &selected), "l"), (Sums{2, std::nullopt}));
  Run(*udf, BatchOf({ColumnOf<int64_t>({13, 2})}));
  EXPECT_NE(error_.message.find("13 at the begin"), std::string::npos) << error_.message;
}

TEST_F(NativeUdfTest, AnExceptionFailsItsRow) {
  EXPECT_TRUE(Run(*Make("mean"), BatchOf({ColumnOf<std::vector<float>>(ThreeLists())})).empty());
  EXPECT_EQ(error_.kind, ErrorKind::kUserFunction);
  EXPECT_EQ(error_.message, "mean(): an empty list has no mean");
  EXPECT_EQ(failed_row_, 1);
}

TEST_F(NativeUdfTest, ThePolicySkipsAndRetries) {
  const auto skipping =
      Make("mean", "{}", std::make_unique<FixedPolicy>(std::vector{NativeRowAction::kRetry, NativeRowAction::kNull}));
  const OwnedArray means = Run(*skipping, BatchOf({ColumnOf<std::vector<float>>(ThreeLists())}));
  EXPECT_EQ(Values<float>(means, "f"), (std::vector<std::optional<float>>{2.0F, std::nullopt, 5.0F}));
  const auto skipped = skipping->TakeSkipped();
  ASSERT_EQ(skipped.size(), 1U);
  EXPECT_EQ(skipped[0].row, 1);
}

TEST_F(NativeUdfTest, ABatchIsHalvedDownToTheRowsThatFail) {
  const auto batch = [] { return BatchOf({ColumnOf<double>({4.0, -1.0, 9.0, -2.0, 16.0})}); };
  const auto skipping =
      Make("roots", "{}", std::make_unique<FixedPolicy>(std::vector{NativeRowAction::kRetry, NativeRowAction::kNull}));
  EXPECT_EQ(Values<std::string>(Run(*skipping, batch()), "u"),
            (std::vector<std::optional<std::string>>{"2", std::nullopt, "3", std::nullopt, "4"}));
  const auto skipped = skipping->TakeSkipped();
  ASSERT_EQ(skipped.size(), 2U);
  EXPECT_EQ((std::vector{skipped[0].row, skipped[1].row}), (std::vector<int64_t>{1, 3}));
  EXPECT_EQ(skipped[1].message, "no root of -2.000000");

  const auto failing = Make("roots", "{}", std::make_unique<FixedPolicy>(std::vector{NativeRowAction::kFail}));
  EXPECT_TRUE(Run(*failing, batch()).empty());
  EXPECT_EQ(failed_row_, 1);
  EXPECT_TRUE(Run(*Make("roots"), batch()).empty());
  EXPECT_EQ(failed_row_, -1);

  const RowMask selected{1, 0, 1, 0, 0};
  const auto some = Make("roots", "{}", std::make_unique<FixedPolicy>(std::vector{NativeRowAction::kNull}));
  EXPECT_EQ(Values<std::string>(Run(*some, batch(), &selected), "u"),
            (std::vector<std::optional<std::string>>{"2", std::nullopt, "3", std::nullopt, std::nullopt}));
}

TEST_F(NativeUdfTest, BatchFunctionsSeeTheSelectedRowsAlone) {
  const RowMask selected{0, 1, 0, 1, 1};
  EXPECT_EQ(Values<int64_t>(
                Run(*Make("running_sum"), BatchOf({ColumnOf<int64_t>({1, 2, 3, std::nullopt, 5})}), &selected), "l"),
            (std::vector<std::optional<int64_t>>{std::nullopt, 2, std::nullopt, 2, 7}));
  const RowMask none{0, 0};
  EXPECT_EQ(Run(*Make("running_sum"), BatchOf({ColumnOf<int64_t>({1, 2})}), &none)->null_count, 2);
  const auto columns = [] {
    return BatchOf({ColumnOf<std::string>({"a", std::nullopt, "c"}),
                    ColumnOf<std::vector<float>>({{{1.0F}}, {{2.0F, 3.0F}}, {std::vector<float>{}}}),
                    ColumnOf<bool>({true, false, true})});
  };
  EXPECT_EQ(Values<std::string>(Run(*Make("all_seen"), columns()), "u")[2], "a+1 null-23 c+ ");
  const RowMask last{0, 1, 1};
  OwnedArray cut = columns();
  EXPECT_EQ(Values<std::string>(Run(*Make("all_seen"), std::move(cut), &last), "u"),
            (std::vector<std::optional<std::string>>{std::nullopt, "null-23 c+ ", "null-23 c+ "}));
}

TEST_F(NativeUdfTest, UnderATimeLimitACallTellsItsRows) {
  ManualClock clock;
  const auto calls = std::make_shared<NativeCalls>(clock, 1'000);
  const auto look = [&] { return std::pair(calls->position()->first, calls->position()->rows); };
  auto library = Sample();
  const auto make = [&](const std::string& name) {
    auto described = library->Describe(**library->Find(name), "{}");
    auto state = NativeState::Make(library, name, "{}", *described->inputs.get());
    // What is asked about a row takes none of the call's time.
    class Policy final : public NativeRowPolicy {
     public:
      explicit Policy(NativeCalls& calls) : calls_(calls) {}
      NativeRowAction OnRow(int64_t, const std::string&) override {
        EXPECT_EQ(calls_.slot().current().number, 0U);
        return NativeRowAction::kNull;
      }
      std::vector<SkippedRow> TakeSkipped() override { return {}; }

     private:
      NativeCalls& calls_;
    };
    return std::make_unique<NativeUdf>(*state, std::move(described->output), std::make_unique<Policy>(*calls), calls);
  };
  EXPECT_EQ(Values<int64_t>(Run(*make("plus_one"), BatchOf({ColumnOf<int64_t>({1, 2, 3})})), "l")[2], 4);
  EXPECT_EQ(look(), std::pair(int64_t{2}, int64_t{1}));
  const RowMask selected{0, 1, 1, 1, 0};
  Run(*make("roots"), BatchOf({ColumnOf<double>({4.0, 1.0, 9.0, 4.0, 16.0})}), &selected);
  EXPECT_EQ(look(), std::pair(int64_t{1}, int64_t{3}));
  EXPECT_EQ(Values<std::string>(Run(*make("roots"), BatchOf({ColumnOf<double>({4.0, -1.0})})), "u")[1], std::nullopt);
  EXPECT_EQ(look(), std::pair(int64_t{0}, int64_t{2}));  // begun anew after the question, and at the end
  EXPECT_EQ(calls->slot().current().number, 0U);
}

TEST_F(NativeUdfTest, AWrongLengthIsNoRowsFault) {
  const auto skipping = Make("too_short", "{}", std::make_unique<FixedPolicy>(std::vector{NativeRowAction::kNull}));
  EXPECT_TRUE(Run(*skipping, BatchOf({ColumnOf<int64_t>({1, 2})})).empty());
  EXPECT_TRUE(skipping->TakeSkipped().empty());
}

TEST_F(NativeUdfTest, TextsWrittenInPlace) {
  const OwnedArray initials =
      Run(*Make("initials"), BatchOf({ColumnOf<std::string>({"to be or", "", std::nullopt, "x"})}));
  EXPECT_EQ(Values<std::string>(initials, "u"),
            (std::vector<std::optional<std::string>>{"tbo", "", std::nullopt, "x"}));
}

TEST_F(NativeUdfTest, ClassesTakeParameters) {
  EXPECT_EQ(Values<double>(Run(*Make("scale", R"({"by": 2.5})"), BatchOf({ColumnOf<double>({2.0})})), "g"),
            (std::vector<std::optional<double>>{5.0}));
  EXPECT_EQ(Make("scale", "{}"), nullptr);
  EXPECT_EQ(error_.kind, ErrorKind::kInvalidArgument);
  EXPECT_EQ(error_.message, "function scale: the parameter by is missing");
}

TEST_F(NativeUdfTest, ColumnsOfAnotherTypeAreRefused) {
  ArrowSchema inputs{};
  udf::Export(udf::SchemaNode{"+s", "", false, {{"g", "x", true, {}}}}, &inputs);
  const OwnedSchema owned(&inputs);
  const auto state = NativeState::Make(Sample(), "plus_one", "{}", *owned.get());
  ASSERT_FALSE(state.ok());
  EXPECT_EQ(state.error().message,
            "function plus_one: argument 'x' cannot be read from a column of Arrow format 'g'; it takes 'l'");
}

TEST(NativeLibraryTest, WhatIsNoLibraryIsRefused) {
  EXPECT_EQ(NativeLibrary::Open("/nowhere/lib.so").error().kind, ErrorKind::kNotFound);
  const auto text = NativeLibrary::Open(PathOf("sample_udfs") + "/../../build.ninja");
  EXPECT_FALSE(text.ok());
  const auto other = NativeLibrary::Open("/lib/x86_64-linux-gnu/libm.so.6");
  if (!other.ok() && other.error().kind == ErrorKind::kInvalidArgument) {
    EXPECT_NE(other.error().message.find("leman_udf_library"), std::string::npos);
  }
  const auto version = NativeLibrary::Open(PathOf("broken_version"));
  ASSERT_FALSE(version.ok());
  EXPECT_EQ(version.error().kind, ErrorKind::kUnsupported);
  EXPECT_NE(version.error().message.find("version 99 of the UDF ABI, this is version 1"), std::string::npos);
  EXPECT_NE(NativeLibrary::Open(PathOf("broken_name")).error().message.find("has no name"), std::string::npos);
}

TEST_F(NativeUdfTest, ABrokenResultIsAnErrorAndNoCrash) {
  auto library = NativeLibrary::Open(PathOf("broken_result"));
  ASSERT_TRUE(library.ok());
  auto described = (*library)->Describe(*(*library)->udfs()[0], "{}");
  ASSERT_TRUE(described.ok());
  auto state = NativeState::Make(*library, "broken", "{}", *described->inputs.get());
  ASSERT_TRUE(state.ok());
  SystemClock clock;
  const auto limited = std::make_shared<NativeCalls>(clock, 1'000'000);  // It does not tell where it is.
  NativeUdf udf(*state, std::move(described->output), nullptr, limited);
  EXPECT_TRUE(Run(udf, BatchOf({ColumnOf<int64_t>({1, 2, 3})})).empty());
  EXPECT_EQ(error_.message, "broken() returned offsets that are missing or fall");
  EXPECT_TRUE(Run(udf, BatchOf({ColumnOf<int64_t>({1, 2})})).empty());
  EXPECT_NE(error_.message.find("returned 3 values for a batch of 2 rows"), std::string::npos);
}

TEST(NativeResultsTest, BytesStayWhileTheirMemoryGrows) {
  udf::Buffer buffer;
  std::vector<uint8_t> expected;
  // Past 2 MiB, where pages are large, and past 32 MiB, where they are moved.
  for (size_t piece = 1; expected.size() < (size_t{40} << 20); piece = piece * 3 / 2 + 1) {
    const std::vector<uint8_t> bytes(piece, static_cast<uint8_t>(piece));
    buffer.Append(bytes.data(), bytes.size());
    expected.insert(expected.end(), bytes.begin(), bytes.end());
    ASSERT_GE(buffer.size() + buffer.room(), expected.size());
    ASSERT_TRUE(std::equal(expected.begin(), expected.end(), buffer.data(), buffer.data() + buffer.size()));
  }
}

TEST(NativeResultsTest, MemoryIsAtMostAQuarterOfALargePageMoreThanAskedFor) {
  for (const size_t asked : {size_t{1}, size_t{1} << 20, (size_t{3} << 19) - 1, size_t{3} << 19, size_t{2} << 20,
                             (size_t{2} << 20) + 1, size_t{33} << 20}) {
    size_t given = asked;
    const std::unique_ptr<void, decltype(&std::free)> memory(udf::GrowMemory(nullptr, 0, &given), &std::free);
    ASSERT_NE(memory, nullptr);
    EXPECT_GE(given, asked);
    EXPECT_LE(given, asked + (size_t{1} << 19));
    std::memset(memory.get(), 1, given);
  }
}

}  // namespace
}  // namespace leman
