#include "assemble/assembly_plan.h"

#include <gtest/gtest.h>

#include "assemble/testing/synthetic_file.h"
#include "assemble/testing/written_files.h"

namespace leman {
namespace {

using testing::Build;
using testing::FromHex;
using testing::SyntheticFile;
using testing::SyntheticPage;
using testing::ToHex;

LanceFile Parse(const std::string& bytes) {
  MemoryByteSource source(bytes);
  Result<LanceFile> file = ReadLanceFile(source);
  EXPECT_TRUE(file.ok()) << (file.ok() ? "" : file.error().message);
  return file.ok() ? std::move(file).value() : LanceFile{};
}

/// What an executor does.
std::string CarryOut(const AssemblyPlan& plan, const std::vector<std::string>& files) {
  std::string output(static_cast<size_t>(plan.size_bytes), '\0');
  for (const Segment& segment : plan.segments) {
    std::string content;
    if (const auto* range = std::get_if<CheckpointRange>(&segment.content)) {
      content = files[range->checkpoint].substr(static_cast<size_t>(range->offset), static_cast<size_t>(range->length));
    } else {
      content = std::get<std::string>(segment.content);
    }
    output.replace(static_cast<size_t>(segment.position), content.size(), content);
  }
  EXPECT_EQ(output.size(), static_cast<size_t>(plan.size_bytes));
  return output;
}

Result<AssemblyPlan> PlanOf(const std::vector<std::string>& files, PlanOptions options = {}) {
  std::vector<LanceFile> parsed;
  for (const std::string& file : files) parsed.push_back(Parse(file));
  return PlanAssembly(parsed, options);
}

std::string PageOf(char fill, size_t size) { return std::string(size, fill); }

TEST(AssemblyPlan, RangesAndPageTable) {
  const std::string first = Build({.pages = {{10, {PageOf('a', 100)}}, {5, {PageOf('b', 7), PageOf('c', 64)}}}});
  const std::string second = Build({.pages = {{3, {PageOf('d', 1)}}}});
  const Result<AssemblyPlan> plan = PlanOf({first, second});
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  ASSERT_EQ(plan->segments.size(), 3U);
  EXPECT_EQ(plan->segments[0], (Segment{0, CheckpointRange{0, 0, 256}}));
  EXPECT_EQ(plan->segments[1], (Segment{256, CheckpointRange{1, 0, 1}}));
  EXPECT_EQ(plan->segments[2].position, 320);
  EXPECT_EQ(plan->rows, 18);
  EXPECT_EQ(plan->pages, 3);
  EXPECT_EQ(plan->columns, 1);
  EXPECT_EQ(plan->copied_bytes, 257);

  const std::string output = CarryOut(*plan, {first, second});
  const LanceFile joined = Parse(output);
  EXPECT_EQ(joined.descriptor.rows, 18U);
  const std::vector<ColumnPage>& pages = joined.columns.at(0).pages;
  ASSERT_EQ(pages.size(), 3U);
  EXPECT_EQ(pages[0].buffers, (std::vector<BufferRange>{{0, 100}}));
  EXPECT_EQ(pages[1].buffers, (std::vector<BufferRange>{{128, 7}, {192, 64}}));
  EXPECT_EQ(pages[2].buffers, (std::vector<BufferRange>{{256, 1}}));
  EXPECT_EQ(pages[0].priority, 0U);
  EXPECT_EQ(pages[1].priority, 10U);
  EXPECT_EQ(pages[2].priority, 15U);
  EXPECT_EQ(output.substr(0, 100), PageOf('a', 100));
  EXPECT_EQ(output.substr(192, 65), PageOf('c', 64) + "d");
}

TEST(AssemblyPlan, GoldenTailOfVectors) {
  const std::string file = FromHex(testing::kVector22);
  const Result<AssemblyPlan> plan = PlanOf({file, file});
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  ASSERT_EQ(plan->segments.size(), 3U);
  EXPECT_EQ(plan->segments[0], (Segment{0, CheckpointRange{0, 0, 112}}));
  EXPECT_EQ(plan->segments[1], (Segment{128, CheckpointRange{1, 0, 112}}));
  EXPECT_EQ(plan->segments[2].position, 256);
  EXPECT_EQ(ToHex(std::get<std::string>(plan->segments[2].content)),
            "0a2d0a2b12016320ffffffffffffffffff012a1766697865645f73697a655f6c6973743a666c6f61743a323001380110040a"
            "2912270a250a1f2f6c616e63652e656e636f64696e67732e436f6c756d6e456e636f64696e6712020a0012500a0200401202"
            "04301802224412420a400a1d2f6c616e63652e656e636f64696e677332312e506167654c61796f7574121f0a1d12040a0208"
            "101a0c5a0a080212040a020820180132010338024802500112540a048001c001120204301802224412420a400a1d2f6c616e"
            "63652e656e636f64696e677332312e506167654c61796f7574121f0a1d12040a0208101a0c5a0a080212040a020820180132"
            "010338024802500128023101000000000000d300000000000000000100000000000031000000000000003101000000000000"
            "040200000000000014020000000000000100000001000000020002004c414e43");
}

TEST(AssemblyPlan, GoldenTailOfStructs20) {
  const std::string file = FromHex(testing::kStruct20);
  const Result<AssemblyPlan> plan = PlanOf({file, file, file});
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  EXPECT_EQ(plan->rows, 6);
  EXPECT_EQ(plan->pages, 7);
  EXPECT_EQ(ToHex(std::get<std::string>(plan->segments.back().content)),
            "0a3f0a1812016320ffffffffffffffffff012a0673747275637430010a1012016118012a05696e743634300138010a111201"
            "6218022a06737472696e673001380210060a2912270a250a1f2f6c616e63652e656e636f64696e67732e436f6c756d6e456e"
            "636f64696e6712020a00122c1806222812260a240a1e2f6c616e63652e656e636f64696e67732e4172726179456e636f6469"
            "6e6712022a000a2912270a250a1f2f6c616e63652e656e636f64696e67732e436f6c756d6e456e636f64696e6712020a0012"
            "3c0a01001201101802223212300a2e0a1e2f6c616e63652e656e636f64696e67732e4172726179456e636f64696e67120c12"
            "0a0a080a060a0408401200123f0a02c0011201101802223212300a2e0a1e2f6c616e63652e656e636f64696e67732e417272"
            "6179456e636f64696e67120c120a0a080a060a04084012002802123f0a0280031201101802223212300a2e0a1e2f6c616e63"
            "652e656e636f64696e67732e4172726179456e636f64696e67120c120a0a080a060a040840120028040a2912270a250a1f2f"
            "6c616e63652e656e636f64696e67732e436f6c756d6e456e636f64696e6712020a00124f0a03408001120210011802224212"
            "400a3e0a1e2f6c616e63652e656e636f64696e67732e4172726179456e636f64696e67121c321a0a0c120a0a080a060a0408"
            "40120012080a06080812020801180212520a048002c002120210011802224212400a3e0a1e2f6c616e63652e656e636f6469"
            "6e67732e4172726179456e636f64696e67121c321a0a0c120a0a080a060a040840120012080a060808120208011802280212"
            "520a04c0038004120210011802224212400a3e0a1e2f6c616e63652e656e636f64696e67732e4172726179456e636f64696e"
            "67121c321a0a0c120a0a080a060a040840120012080a060808120208011802280483020000000000005900000000000000dc"
            "02000000000000eb00000000000000c703000000000000240100000000000040020000000000004300000000000000830200"
            "0000000000eb040000000000001b050000000000000100000003000000000003004c414e43");
  const LanceFile joined = Parse(CarryOut(*plan, {file, file, file}));
  ASSERT_EQ(joined.columns[0].pages.size(), 1U);  // The struct's header column.
  EXPECT_EQ(joined.columns[0].pages[0].length, 6U);
  EXPECT_EQ(joined.columns[1].pages.size(), 3U);
}

TEST(AssemblyPlan, ListItemsOf20AreCountedOnTheirOwn) {
  const std::string file = FromHex(testing::kList20);
  const Result<AssemblyPlan> plan = PlanOf({file, file});
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  LanceFile shifted = Parse(file);
  shifted.columns[1].pages[0].length = 3;  // One item more than the lists have: the next checkpoint's would shift.
  const std::vector<LanceFile> files = {shifted, shifted};
  ASSERT_FALSE(PlanAssembly(files).ok());
  EXPECT_EQ(PlanAssembly(files).error().kind, ErrorKind::kUnsupported);
}

TEST(AssemblyPlan, StructsAroundListsAreNullInAllOrNone) {
  const std::string some = FromHex(testing::kListInNullStruct21);
  const std::string none = FromHex(testing::kListInStruct21);
  EXPECT_TRUE(PlanOf({some, some}).ok());
  EXPECT_TRUE(PlanOf({none, none}).ok());
  EXPECT_EQ(PlanOf({none, some}).error().kind, ErrorKind::kUnsupported);
  EXPECT_EQ(PlanOf({some, none}).error().kind, ErrorKind::kUnsupported);
}

TEST(AssemblyPlan, MetadataOfCheckpointsStaysBehind) {
  SyntheticFile spec{.metadata = {{"leman.range", "0-1"}, {"kept", "yes"}}, .pages = {{1, {"x"}}}};
  const std::string first = Build(spec);
  spec.metadata = {{"kept", "yes"}, {"leman.range", "1-2"}, {"leman.more", ""}};
  const std::string second = Build(spec);
  const Result<AssemblyPlan> plan = PlanOf({first, second});
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  const LanceFile joined = Parse(CarryOut(*plan, {first, second}));
  using Entries = std::vector<std::pair<std::string, std::string>>;
  EXPECT_EQ(joined.descriptor.metadata, (Entries{{"kept", "yes"}}));
  spec.metadata = {{"kept", "no"}};
  EXPECT_EQ(PlanOf({first, Build(spec)}).error().kind, ErrorKind::kUnsupported);
}

TEST(AssemblyPlan, WideGapsAreNotCopied) {
  const std::string file =
      Build({.pages = {{1, {PageOf('a', 10)}}, {1, {PageOf('b', 10), ""}}, {1, {""}}}, .gap = 10000});
  const Result<AssemblyPlan> plan = PlanOf({file, file});
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  EXPECT_EQ(plan->segments.size(), 5U);
  EXPECT_EQ(plan->copied_bytes, 40);
  const std::string output = CarryOut(*plan, {file, file});
  const LanceFile joined = Parse(output);
  for (size_t i = 0; i < 6; i += 3) {
    EXPECT_EQ(output.substr(joined.columns[0].pages[i].buffers[0].offset, 10), PageOf('a', 10));
    EXPECT_EQ(output.substr(joined.columns[0].pages[i + 1].buffers[0].offset, 10), PageOf('b', 10));
  }
}

TEST(AssemblyPlan, RangesCanBeginAtBlocks) {
  const std::string file = Build({.pages = {{1, {PageOf('a', 5000)}}}});
  const Result<AssemblyPlan> plan = PlanOf({file, file}, {.range_alignment = 4096});
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->segments[1], (Segment{8192, CheckpointRange{1, 0, 5000}}));
  Parse(CarryOut(*plan, {file, file}));
  EXPECT_EQ(PlanOf({file}, {.range_alignment = 100}).error().kind, ErrorKind::kInvalidArgument);
  EXPECT_EQ(PlanOf({}).error().kind, ErrorKind::kInvalidArgument);
}

TEST(AssemblyPlan, RefusesWhatRefersToPositions) {
  const SyntheticFile plain{.pages = {{1, {"x"}}}};
  const LanceFile good = Parse(Build(plain));
  const auto refused = [&](const LanceFile& file, std::string_view reason) {
    const std::vector<LanceFile> files = {file, file};
    const Result<AssemblyPlan> plan = PlanAssembly(files);
    ASSERT_FALSE(plan.ok()) << reason;
    EXPECT_EQ(plan.error().kind, ErrorKind::kUnsupported);
    EXPECT_NE(plan.error().message.find(reason), std::string::npos) << plan.error().message;
  };
  refused(Parse(FromHex(testing::kBlob22)), "blob");
  refused(Parse(Build({.field_metadata = {{"ARROW:extension:name", "lance.blob.v2"}}, .pages = {{1, {"x"}}}})), "blob");
  refused(Parse(Build({.logical_type = "fixed_size_list:struct:2", .pages = {{1, {"x"}}}})),
          "fixed-size list of structs");
  LanceFile changed = good;
  changed.columns[0].buffers = {{0, 1}};
  refused(changed, "buffers of its own");
  changed = good;
  changed.global_buffers.push_back({0, 1});
  refused(changed, "extra global buffers");
  changed = good;
  changed.columns[0].pages[0].encoding = testing::PageLayoutEncoding(4);
  refused(changed, "page layout 4");
  changed.columns[0].pages[0].encoding = FromHex("0a020801");  // Deferred.
  refused(changed, "not described in place");
  changed.columns[0].pages[0].encoding = "";
  refused(changed, "");
  changed = good;
  changed.columns[0].encoding = testing::WrapEncoding("/lance.encodings.ColumnEncoding", FromHex("1a00"));
  refused(changed, "not just its pages");
  changed = good;
  changed.columns.push_back(changed.columns[0]);
  refused(changed, "the schema describes 1 columns");
}

TEST(AssemblyPlan, RefusesSharedBuffersOf20) {
  LanceFile file = Parse(FromHex(testing::kList20));
  const auto plan_with = [&](std::string_view encoding_hex) {
    LanceFile changed = file;
    changed.columns[1].pages[0].encoding =
        testing::WrapEncoding("/lance.encodings.ArrayEncoding", FromHex(encoding_hex));
    const std::vector<LanceFile> files = {changed};
    return PlanAssembly(files);
  };
  EXPECT_TRUE(plan_with("0a0408401200").ok());  // Flat, buffer 0 of the page.
  EXPECT_EQ(plan_with("0a0608401202"
                      "1001")
                .error()
                .kind,
            ErrorKind::kUnsupported);  // A buffer of the column.
  EXPECT_EQ(plan_with("0a0608401202"
                      "0801")
                .error()
                .kind,
            ErrorKind::kCorrupt);                                                  // Buffer 1 of 1.
  EXPECT_EQ(plan_with("0a06084012004801").error().kind, ErrorKind::kUnsupported);  // Unknown part.
  EXPECT_EQ(plan_with("a20100").error().kind, ErrorKind::kUnsupported);            // Unknown encoding.
}

TEST(AssemblyPlan, RefusesWhatIsNotAlike) {
  const SyntheticFile spec{.pages = {{1, {"x"}}}};
  SyntheticFile other = spec;
  other.version = LanceVersion::k2_1;
  EXPECT_EQ(PlanOf({Build(spec), Build(other)}).error().kind, ErrorKind::kUnsupported);
  other = spec;
  other.logical_type = "int32";
  EXPECT_EQ(PlanOf({Build(spec), Build(other)}).error().kind, ErrorKind::kUnsupported);
  other = spec;
  other.field_metadata = {{"k", "v"}};
  EXPECT_EQ(PlanOf({Build(spec), Build(other)}).error().kind, ErrorKind::kUnsupported);
}

TEST(AssemblyPlan, ColumnsMustHoldTheRows) {
  LanceFile file = Parse(Build({.pages = {{4, {"x"}}}}));
  file.descriptor.rows = 5;
  const std::vector<LanceFile> files = {file};
  ASSERT_FALSE(PlanAssembly(files).ok());
  EXPECT_EQ(PlanAssembly(files).error().kind, ErrorKind::kCorrupt);
}

TEST(AssemblyPlan, SmallPagesAreWorthEncodingAgain) {
  constexpr int64_t kLimit = 8 << 20;
  EXPECT_FALSE(WorthCoalescing(1, 1000, 100, 1, kLimit));
  EXPECT_TRUE(WorthCoalescing(2, 1000, 100, 1, kLimit));
  EXPECT_FALSE(WorthCoalescing(2, 2 * kLimit, 1000000, 1, kLimit));
  EXPECT_TRUE(WorthCoalescing(100, 99 * kLimit, 100000000, 1, kLimit));
  EXPECT_FALSE(WorthCoalescing(2, 10 << 20, 10, 1, kLimit));  // Values of 1 MB.
  EXPECT_FALSE(WorthCoalescing(2, 1000, 100, 1, 0));
}

}  // namespace
}  // namespace leman
