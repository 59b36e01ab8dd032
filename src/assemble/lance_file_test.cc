#include "assemble/lance_file.h"

#include <gtest/gtest.h>

#include "assemble/assembly_plan.h"
#include "assemble/proto_wire.h"
#include "assemble/testing/synthetic_file.h"
#include "assemble/testing/written_files.h"

namespace leman {
namespace {

using testing::FromHex;

constexpr std::string_view kWrittenFiles[] = {testing::kList20, testing::kStruct20, testing::kVector22,
                                              testing::kText21, testing::kBlob22};

Result<LanceFile> Read(std::string_view bytes) {
  MemoryByteSource source(bytes);
  return ReadLanceFile(source);
}

TEST(LanceFile, ReadsWhatLanceWrote) {
  const std::string bytes = FromHex(testing::kVector22);
  const Result<LanceFile> file = Read(bytes);
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(file->version, LanceVersion::k2_2);
  EXPECT_EQ(file->size_bytes, static_cast<int64_t>(bytes.size()));
  EXPECT_EQ(file->descriptor.rows, 2U);
  ASSERT_EQ(file->descriptor.fields.size(), 1U);
  const SchemaField& field = file->descriptor.fields.front();
  EXPECT_EQ(field.name, "c");
  EXPECT_EQ(field.logical_type, "fixed_size_list:float:2");
  EXPECT_EQ(field.parent_id, -1);
  EXPECT_TRUE(field.nullable);
  ASSERT_EQ(file->columns.size(), 1U);
  ASSERT_EQ(file->columns[0].pages.size(), 1U);
  EXPECT_EQ(file->columns[0].pages[0].length, 2U);
  EXPECT_EQ(file->columns[0].pages[0].buffers, (std::vector<BufferRange>{{0, 4}, {64, 48}}));
}

TEST(LanceFile, VersionNumbersOfFooterAndTable) {
  const Result<LanceFile> file = Read(FromHex(testing::kStruct20));
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->version, LanceVersion::k2_0);
  EXPECT_EQ(FooterVersion(file->version), (VersionNumbers{0, 3}));
  EXPECT_EQ(DataFileVersion(file->version), (VersionNumbers{2, 0}));
}

TEST(LanceFile, WritesTheTailThatLanceWrote) {
  for (const std::string_view hex : kWrittenFiles) {
    const std::string bytes = FromHex(hex);
    const Result<LanceFile> file = Read(bytes);
    ASSERT_TRUE(file.ok()) << file.error().message;
    const uint64_t start = file->global_buffers.front().offset;
    EXPECT_EQ(EncodeLanceTail(file->version, start, file->descriptor, file->columns), bytes.substr(start));
  }
}

TEST(LanceFile, EveryTruncationIsRefused) {
  for (const std::string_view hex : kWrittenFiles) {
    const std::string bytes = FromHex(hex);
    for (size_t size = 0; size < bytes.size(); ++size) {
      // A copy of exact size, so that a sanitizer sees a read past it.
      const std::string cut = bytes.substr(0, size);
      EXPECT_FALSE(Read(cut).ok()) << size;
    }
  }
}

TEST(LanceFile, NoChangedByteCrashes) {
  int accepted = 0;
  for (const std::string_view hex : kWrittenFiles) {
    const std::string bytes = FromHex(hex);
    for (size_t i = 0; i < bytes.size(); ++i) {
      for (const int flip : {0x01, 0x80, 0xff}) {
        std::string changed = bytes;
        changed[i] = static_cast<char>(changed[i] ^ flip);
        const Result<LanceFile> file = Read(changed);
        if (!file.ok()) continue;
        const std::vector<LanceFile> files = {*file, *file};
        accepted += PlanAssembly(files).ok() ? 1 : 0;
      }
    }
  }
  EXPECT_GT(accepted, 0);  // Bytes of pages and names may be anything.
}

TEST(LanceFile, RefusesUnknownVersions) {
  std::string bytes = FromHex(testing::kText21);
  for (const auto& [major, minor] : {std::pair{2, 3}, {0, 2}, {3, 0}, {1, 1}}) {
    bytes[bytes.size() - 8] = static_cast<char>(major);
    bytes[bytes.size() - 6] = static_cast<char>(minor);
    ASSERT_FALSE(Read(bytes).ok());
    EXPECT_EQ(Read(bytes).error().kind, ErrorKind::kUnsupported);
  }
}

/// A file with one page whose metadata a test may change.
struct Pieces {
  SchemaDescriptor descriptor;
  ColumnMetadata column;

  Pieces() {
    descriptor.fields.push_back(testing::FieldOf({}));
    descriptor.rows = 3;
    column.encoding = testing::PlainColumnEncoding();
    column.pages.push_back({{{0, 24}}, 3, 0, testing::PageLayoutEncoding(1)});
  }
  [[nodiscard]] std::string Bytes(LanceVersion version = LanceVersion::k2_1) const {
    return std::string(64, 'p') + EncodeLanceTail(version, 64, descriptor, {column});
  }
};

TEST(LanceFile, ChecksEveryBuffer) {
  ASSERT_TRUE(Read(Pieces().Bytes()).ok());
  struct Case {
    BufferRange buffer;
    bool ok;
  };
  constexpr uint64_t kMax = ~uint64_t{0};
  for (const Case& c :
       {Case{{0, 64}, true}, Case{{64, 0}, true}, Case{{0, 65}, false}, Case{{8, 8}, false}, Case{{64, 1}, false},
        Case{{128, 0}, false}, Case{{kMax - 63, 64}, false}, Case{{0, kMax}, false}}) {
    Pieces pieces;
    pieces.column.pages[0].buffers = {c.buffer};
    const Result<LanceFile> file = Read(pieces.Bytes());
    EXPECT_EQ(file.ok(), c.ok) << c.buffer.offset << "+" << c.buffer.size;
    if (!file.ok()) {
      EXPECT_EQ(file.error().kind, ErrorKind::kCorrupt);
    }
  }
  Pieces unaligned;
  unaligned.column.pages[0].buffers = {{8, 8}};
  EXPECT_TRUE(Read(unaligned.Bytes(LanceVersion::k2_0)).ok());  // Only 2.1 and later insist.
}

TEST(LanceFile, ChecksRowCounts) {
  Pieces pieces;
  pieces.column.pages.push_back(pieces.column.pages.front());
  pieces.column.pages[0].length = ~uint64_t{0};
  EXPECT_FALSE(Read(pieces.Bytes()).ok());
  pieces.column.pages[0].length = 1;
  pieces.descriptor.rows = ~uint64_t{0};
  EXPECT_FALSE(Read(pieces.Bytes()).ok());
}

TEST(LanceFile, UnknownFieldsAreNeverDropped) {
  WireWriter unknown;
  unknown.Uint64(77, 1);
  const std::string extra = std::move(unknown).Take();
  const std::string bytes = Pieces().Bytes();
  const Result<LanceFile> file = Read(bytes);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(ParseColumnMetadata(EncodeColumnMetadata(file->columns[0]) + extra).error().kind, ErrorKind::kUnsupported);
  EXPECT_EQ(ParseSchemaDescriptor(EncodeSchemaDescriptor(file->descriptor) + extra).error().kind,
            ErrorKind::kUnsupported);
  WireWriter page;
  page.Bytes(2, extra);
  EXPECT_EQ(ParseColumnMetadata(std::move(page).Take()).error().kind, ErrorKind::kUnsupported);
  // Fields of the schema are copied whole.
  Pieces pieces;
  pieces.descriptor.fields[0].raw += extra;
  const Result<LanceFile> kept = Read(pieces.Bytes());
  ASSERT_TRUE(kept.ok());
  EXPECT_EQ(kept->descriptor.fields[0].raw, pieces.descriptor.fields[0].raw);
  EXPECT_FALSE(SameField(kept->descriptor.fields[0], file->descriptor.fields[0]));
}

TEST(LanceFile, MetadataInAnyOrderIsTheSame) {
  const testing::SyntheticFile one{.field_metadata = {{"a", "1"}, {"b", "2"}}, .pages = {{1, {"x"}}}};
  const testing::SyntheticFile other{.field_metadata = {{"b", "2"}, {"a", "1"}}, .pages = {{1, {"x"}}}};
  const Result<LanceFile> a = Read(testing::Build(one));
  const Result<LanceFile> b = Read(testing::Build(other));
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_NE(a->descriptor.fields[0].raw, b->descriptor.fields[0].raw);
  EXPECT_TRUE(SameField(a->descriptor.fields[0], b->descriptor.fields[0]));
}

TEST(ProtoWire, RefusesMalformedMessages) {
  for (const std::string_view hex : {"08", "0880", "08ffffffffffffffffff02", "0a05", "0affffffffffffffffff01", "00",
                                     "0b", "0c", "0e", "0f", "0d0000", "0900", "f8ffffffffffffffff0100"}) {
    const std::string bytes = FromHex(hex);
    WireReader reader(bytes);
    const Result<WireField> field = reader.Next();
    ASSERT_FALSE(field.ok()) << hex;
    EXPECT_EQ(field.error().kind, ErrorKind::kCorrupt);
  }
}

TEST(ProtoWire, TakesPackedAndSingleIntegers) {
  const std::string bytes = FromHex(
      "0a03019601"
      "0807");
  std::vector<uint64_t> values;
  for (WireReader reader(bytes); !reader.done();) {
    const Result<WireField> field = reader.Next();
    ASSERT_TRUE(field.ok());
    ASSERT_TRUE(AppendUint64s(*field, values).ok());
  }
  EXPECT_EQ(values, (std::vector<uint64_t>{1, 150, 7}));
}

TEST(ProtoWire, RefusesASingleFieldTwice) {
  EXPECT_EQ(ParseSchemaDescriptor(FromHex("10011002")).error().kind, ErrorKind::kCorrupt);
  EXPECT_EQ(ParseColumnMetadata(FromHex("0a000a00")).error().kind, ErrorKind::kCorrupt);
}

}  // namespace
}  // namespace leman
