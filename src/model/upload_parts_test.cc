#include "model/upload_parts.h"

#include <gtest/gtest.h>

namespace leman {
namespace {

const std::string kDataFile = "leman-f0123456789abcdef01234567-0-0123456789ab.lance";

PartsRecord Record() { return {kDataFile, "id+/=1", {{3, 6 << 20, "\"ab-1\""}, {4, 64, "\"cd\""}}, "ta\nil"}; }

TEST(UploadParts, ARecordSurvivesAndNothingElseIsTakenForOne) {
  const std::string bytes = EncodePartsRecord(Record());
  const auto parsed = ParsePartsRecord(bytes);
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(parsed->data_file, kDataFile);
  EXPECT_EQ(parsed->upload_id, "id+/=1");
  EXPECT_EQ(parsed->parts, Record().parts);
  EXPECT_EQ(parsed->tail, "ta\nil");
  EXPECT_EQ(parsed->parts_bytes(), (6 << 20) + 64);
  for (size_t size = 0; size < bytes.size(); ++size) EXPECT_FALSE(ParsePartsRecord(bytes.substr(0, size)).ok()) << size;
  EXPECT_FALSE(ParsePartsRecord(bytes + "x").ok());
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ 0x80);
    EXPECT_FALSE(ParsePartsRecord(changed).ok()) << at;
  }
}

TEST(UploadParts, PartsThatCannotBeAreRefused) {
  PartsRecord record = Record();
  record.parts[1].number = 3;
  EXPECT_FALSE(ParsePartsRecord(EncodePartsRecord(record)).ok());
  record = Record();
  record.parts[1].size_bytes = 65;
  EXPECT_FALSE(ParsePartsRecord(EncodePartsRecord(record)).ok());
  record = Record();
  record.parts.clear();
  EXPECT_FALSE(ParsePartsRecord(EncodePartsRecord(record)).ok());
  record = Record();
  record.data_file = "../elsewhere.lance";
  EXPECT_FALSE(ParsePartsRecord(EncodePartsRecord(record)).ok());
}

TEST(UploadParts, AnAnnouncementSurvives) {
  const UploadAnnouncement announcement{kDataFile, "id", 17, "0123456789abcdef"};
  const std::string bytes = EncodeUploadAnnouncement(announcement);
  const auto parsed = ParseUploadAnnouncement(bytes);
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(EncodeUploadAnnouncement(*parsed), bytes);
  EXPECT_EQ(parsed->next_number, 17);
  for (size_t size = 0; size < bytes.size(); ++size) EXPECT_FALSE(ParseUploadAnnouncement(bytes.substr(0, size)).ok());
  EXPECT_FALSE(ParseUploadAnnouncement(bytes + "\n").ok());
}

TEST(UploadParts, NamesSurvive) {
  const PartsName name{{3, 0, 10}, "0123456789abcdef", "00000000000000ff", 4096};
  const auto parsed = ParsePartsFileName(PartsFileName(name));
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->range, name.range);
  EXPECT_EQ(parsed->size_bytes, 4096);
  EXPECT_EQ(PartsFileName(*parsed), PartsFileName(name));
  for (const std::string other :
       {"3-0123456789abcdef-10-10-00000000000000ff-4096.parts", "3-0123456789abcdef-0-10-00000000000000ff-0.parts",
        "3-0123456789abcdef-0-10-ff-4096.parts", "3-0123456789abcdef-0-10-00000000000000ff-4096.region"}) {
    EXPECT_FALSE(ParsePartsFileName(other).has_value()) << other;
  }
  EXPECT_TRUE(IsUploadFileName(UploadFileName(3, "0123456789abcdef")));
  EXPECT_FALSE(IsUploadFileName("3-0123456789abcdef.pages"));
}

}  // namespace
}  // namespace leman
