#include "assemble/blob_values.h"

#include <gtest/gtest.h>

#include "assemble/blob_pages.h"
#include "assemble/byte_source.h"
#include "assemble/plain_encoding.h"

namespace leman {
namespace {

constexpr PlainType kBinary{.offset_bytes = 8};

template <typename Integer>
std::string Bytes(std::initializer_list<Integer> numbers) {
  std::string out;
  for (const Integer number : numbers) {
    for (size_t i = 0; i < sizeof(Integer); ++i) out.push_back(static_cast<char>(number >> (8 * i)));
  }
  return out;
}

/// A checkpoint of one page of two buffers, of which the first begins at 64.
struct Checkpoint {
  Checkpoint(LanceVersion version, uint64_t rows, const std::string& first, const std::string& second,
             std::string encoding)
      : bytes(std::string(64, '.') + first + second) {
    file.version = version;
    file.descriptor.rows = rows;
    SchemaField field;
    field.logical_type = "large_binary";
    file.descriptor.fields = {field};
    const std::vector<BufferRange> buffers = {{64, first.size()}, {64 + first.size(), second.size()}};
    file.columns = {{"", {{buffers, rows, 0, std::move(encoding)}}, {}}};
  }
  Result<std::vector<BlobPlace>> Places() {
    MemoryByteSource source(bytes);
    return PlacesOfBlobs(file, source);
  }

  std::string bytes;
  LanceFile file;
};

std::string Zipped() {
  const std::string valid(1, '\0');
  return valid + Bytes<uint64_t>({3}) + "abc" + "\1" + valid + Bytes<uint64_t>({0}) + valid + Bytes<uint64_t>({2}) +
         "de";
}

TEST(BlobValues, OfVersion21AreFoundByWhereTheyBegin) {
  Checkpoint checkpoint(LanceVersion::k2_2, 4, Zipped(), Bytes<uint32_t>({0, 12, 13, 22, 33}),
                        PlainEncoding21(kBinary, 4, true));
  const auto places = checkpoint.Places();
  ASSERT_TRUE(places.ok()) << places.error().message;
  EXPECT_EQ(*places, (std::vector<BlobPlace>{{64 + 9, 3, false}, {0, 0, true}, {0, 0, false}, {64 + 31, 2, false}}));
  EXPECT_EQ(checkpoint.bytes.substr((*places)[0].position, 3), "abc");
  EXPECT_EQ(checkpoint.bytes.substr((*places)[3].position, 2), "de");
}

TEST(BlobValues, OfVersion20AreFoundByWhereTheyEnd) {
  Checkpoint checkpoint(LanceVersion::k2_0, 4, Bytes<uint64_t>({3, 3 + 6, 3, 5}), "abcde", PlainEncoding20(kBinary, 6));
  const auto places = checkpoint.Places();
  ASSERT_TRUE(places.ok()) << places.error().message;
  EXPECT_EQ(*places, (std::vector<BlobPlace>{{96, 3, false}, {0, 0, true}, {0, 0, false}, {99, 2, false}}));
}

TEST(BlobValues, PagesOfAnEncoderAreRefused) {
  const std::string starts = Bytes<uint32_t>({0, 12, 13, 22, 33});
  EXPECT_EQ(Checkpoint(LanceVersion::k2_1, 4, Zipped(), starts, "other").Places().error().kind,
            ErrorKind::kUnsupported);
  // The description repeats the number of rows.
  Checkpoint lies(LanceVersion::k2_1, 4, Zipped(), starts, PlainEncoding21(kBinary, 5, true));
  EXPECT_EQ(lies.Places().error().kind, ErrorKind::kUnsupported);
  Checkpoint text(LanceVersion::k2_1, 4, Zipped(), starts, PlainEncoding21(kBinary, 4, true));
  text.file.descriptor.fields.front().logical_type = "string";
  EXPECT_EQ(text.Places().error().kind, ErrorKind::kUnsupported);
}

TEST(BlobValues, PlacesOutsideOfThePageAreCorrupt) {
  const std::string encoding = PlainEncoding21(kBinary, 4, true);
  for (const std::string& starts : {Bytes<uint32_t>({0, 12, 11, 22, 33}), Bytes<uint32_t>({0, 12, 13, 22, 34}),
                                    Bytes<uint32_t>({0, 12, 13, 15, 33})}) {
    EXPECT_EQ(Checkpoint(LanceVersion::k2_1, 4, Zipped(), starts, encoding).Places().error().kind, ErrorKind::kCorrupt);
  }
  for (const std::string& ends : {Bytes<uint64_t>({3, 2, 5, 5}), Bytes<uint64_t>({3, 3, 3, 12})}) {
    Checkpoint checkpoint(LanceVersion::k2_0, 4, ends, "abcde", PlainEncoding20(kBinary, 6));
    EXPECT_EQ(checkpoint.Places().error().kind, ErrorKind::kCorrupt);
  }
}

TEST(BlobValues, TheFormIsWhatTheFieldSaysWhereTheVersionHasIt) {
  LanceFile file;
  file.descriptor.fields.resize(1);
  EXPECT_EQ(BlobFormOf(file), BlobForm::kNone);
  auto& form = file.descriptor.fields.front().metadata["leman.blob"];
  form = "value";
  EXPECT_EQ(BlobFormOf(file), BlobForm::kOther);
  form = "beside";
  EXPECT_EQ(BlobFormOf(file), BlobForm::kBeside);
  file.version = LanceVersion::k2_1;
  EXPECT_EQ(BlobFormOf(file), BlobForm::kOther);
  form = "inside";
  EXPECT_EQ(BlobFormOf(file), BlobForm::kInside);
  EXPECT_EQ(BlobFileBeside("t/data/leman-1.lance"), "t/data/leman-1/10000000000000000000000000000000.blob");
}

TEST(BlobPages, APageEndsWherePositionsFall) {
  const std::vector<BlobPlace> places = {{640, 5, false}, {0, 0, true}, {700, 1, false}, {64, 2, false}, {0, 0, false}};
  const BlobColumn made = MakeBlobColumn(LanceVersion::k2_0, places, 1024);
  ASSERT_EQ(made.column.pages.size(), 2U);
  EXPECT_EQ(made.column.pages[0].length, 3U);
  EXPECT_EQ(made.column.pages[1].length, 2U);
  EXPECT_EQ(made.column.pages[1].priority, 3U);
  EXPECT_EQ(made.column.pages[0].buffers, (std::vector<BufferRange>{{1024, 48}}));
  EXPECT_EQ(made.column.pages[1].buffers, (std::vector<BufferRange>{{1088, 32}}));
  EXPECT_EQ(made.bytes.substr(0, 48), Bytes<uint64_t>({640, 5, 1, 0, 700, 1}));
  EXPECT_EQ(made.bytes.substr(64), Bytes<uint64_t>({64, 2, 0, 0}));
}

TEST(BlobPages, OfVersion21AreChunksOf256Places) {
  const std::vector<BlobPlace> places(300, BlobPlace{0, 0, true});
  const BlobColumn made = MakeBlobColumn(LanceVersion::k2_1, places, 64);
  ASSERT_EQ(made.column.pages.size(), 1U);
  const std::vector<BufferRange>& buffers = made.column.pages[0].buffers;
  EXPECT_EQ(buffers, (std::vector<BufferRange>{{64, 4}, {128, 2 * 8 + 300 * 16}}));
  // Words of 8 bytes less one, and the logarithm of the places; that of the last chunk is not said.
  EXPECT_EQ(made.bytes.substr(0, 4), Bytes<uint16_t>({512 << 4 | 8, 88 << 4}));
  EXPECT_EQ(made.bytes.substr(64, 24), Bytes<uint16_t>({0, 4096, 0, 0}) + Bytes<uint64_t>({1 << 16, 0}));
}

}  // namespace
}  // namespace leman
