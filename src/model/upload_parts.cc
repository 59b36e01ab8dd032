#include "model/upload_parts.h"

#include <algorithm>
#include <array>

#include "base/crc32c.h"
#include "model/checkpoint_key.h"
#include "model/file_name_parts.h"

namespace leman {
namespace {

constexpr std::string_view kUploadSuffix = ".upload";
constexpr std::string_view kPartsSuffix = ".parts";
constexpr std::string_view kUploadTitle = "leman upload 1";
constexpr std::string_view kPartsTitle = "leman parts 1";
constexpr size_t kDigits = 16;
constexpr int64_t kMaxParts = 10'000;
constexpr int64_t kMaxPartBytes = int64_t{5} << 30;
constexpr int64_t kPartAlignment = 64;
constexpr size_t kMaxWordBytes = 4096;

/// Of a store's own making: an upload's id, a part's tag.
bool IsWord(std::string_view text) {
  return !text.empty() && text.size() <= kMaxWordBytes &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

/// Takes bytes off the front, line by line.
class Lines {
 public:
  explicit Lines(std::string_view bytes) : rest_(bytes) {}
  std::optional<std::string_view> Next() {
    const size_t end = rest_.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view line = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return line;
  }
  std::optional<int64_t> NextCount() {
    const auto line = Next();
    return line ? ParseCount(*line) : std::nullopt;
  }
  [[nodiscard]] std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

/// The first three lines of both kinds.
bool TakeUpload(Lines& lines, std::string_view title, std::string& data_file, std::string& upload_id) {
  const auto first = lines.Next();
  const auto file = lines.Next();
  const auto id = lines.Next();
  if (!first || *first != title || !file || !id || !IsWord(*id)) return false;
  data_file = *file;
  upload_id = *id;
  return IsWord(*file) && file->find('/') == std::string_view::npos && ParseDoneFileName(data_file).has_value();
}

std::optional<UploadedPart> ParsePart(std::string_view line) {
  const auto words = SplitName(line, ' ');
  if (words.size() != 3 || !IsWord(words[2])) return std::nullopt;
  const auto number = ParseCount(words[0]);
  const auto size = ParseCount(words[1]);
  const bool fits = number && size && *number >= 1 && *number <= kMaxParts && *size > 0 && *size <= kMaxPartBytes &&
                    *size % kPartAlignment == 0;
  if (!fits) return std::nullopt;
  return UploadedPart{*number, *size, std::string(words[2])};
}

bool TakeTail(Lines& lines, std::string& tail) {
  const auto line = lines.Next();
  if (!line) return false;
  const auto words = SplitName(*line, ' ');
  if (words.size() != 2) return false;
  const auto size = ParseCount(words[0]);
  const auto crc = ParseCrc(words[1]);
  if (!size || !crc || *size != static_cast<int64_t>(lines.rest().size())) return false;
  tail = lines.rest();
  return Crc32c(tail.data(), tail.size()) == *crc;
}

}  // namespace

int64_t PartsRecord::parts_bytes() const {
  int64_t sum = 0;
  for (const UploadedPart& part : parts) sum += part.size_bytes;
  return sum;
}

std::string UploadFileName(int64_t fragment_id, const std::string& fragment_key) {
  return std::to_string(fragment_id) + "-" + fragment_key + std::string(kUploadSuffix);
}

bool IsUploadFileName(const std::string& file_name) {
  const std::string_view name = file_name;
  if (!name.ends_with(kUploadSuffix)) return false;
  const auto parts = SplitName(name.substr(0, name.size() - kUploadSuffix.size()), '-');
  return parts.size() == 2 && ParseCount(parts[0]) && IsHex(parts[1], kDigits);
}

std::string PartsFileName(const PartsName& name) {
  return std::to_string(name.range.fragment_id) + "-" + name.fragment_key + "-" + std::to_string(name.range.start) +
         "-" + std::to_string(name.range.end) + "-" + name.id + "-" + std::to_string(name.size_bytes) +
         std::string(kPartsSuffix);
}

std::optional<PartsName> ParsePartsFileName(const std::string& file_name) {
  const std::string_view name = file_name;
  if (!name.ends_with(kPartsSuffix)) return std::nullopt;
  const auto parts = SplitName(name.substr(0, name.size() - kPartsSuffix.size()), '-');
  if (parts.size() != 6 || !IsHex(parts[1], kDigits) || !IsHex(parts[4], kDigits)) return std::nullopt;
  std::array<int64_t, 4> numbers{};
  constexpr std::array<size_t, 4> kNumbers = {0, 2, 3, 5};
  for (size_t i = 0; i < numbers.size(); ++i) {
    const auto number = ParseCount(parts[kNumbers[i]]);
    if (!number) return std::nullopt;
    numbers[i] = *number;
  }
  if (numbers[2] <= numbers[1] || numbers[3] == 0) return std::nullopt;
  return PartsName{{numbers[0], numbers[1], numbers[2]}, std::string(parts[1]), std::string(parts[4]), numbers[3]};
}

std::string EncodeUploadAnnouncement(const UploadAnnouncement& announcement) {
  return std::string(kUploadTitle) + "\n" + announcement.data_file + "\n" + announcement.upload_id + "\n" +
         std::to_string(announcement.next_number) + "\n" + announcement.claim + "\n";
}

Result<UploadAnnouncement> ParseUploadAnnouncement(std::string_view bytes) {
  const Error error = MakeError(ErrorKind::kCorrupt, "no announcement of an upload of this version");
  Lines lines(bytes);
  UploadAnnouncement parsed;
  if (!TakeUpload(lines, kUploadTitle, parsed.data_file, parsed.upload_id)) return error;
  const auto next = lines.NextCount();
  const auto claim = lines.Next();
  if (!next || *next < 1 || *next > kMaxParts || !claim || !IsHex(*claim, kDigits) || !lines.rest().empty()) {
    return error;
  }
  parsed.next_number = *next;
  parsed.claim = *claim;
  return parsed;
}

std::string EncodePartsRecord(const PartsRecord& record) {
  std::string out = std::string(kPartsTitle) + "\n" + record.data_file + "\n" + record.upload_id + "\n" +
                    std::to_string(record.parts.size()) + "\n";
  for (const UploadedPart& part : record.parts) {
    out += std::to_string(part.number) + " " + std::to_string(part.size_bytes) + " " + part.tag + "\n";
  }
  out += std::to_string(record.tail.size()) + " " + CrcText(Crc32c(record.tail.data(), record.tail.size())) + "\n";
  return out + record.tail;
}

Result<PartsRecord> ParsePartsRecord(std::string_view bytes) {
  const Error error = MakeError(ErrorKind::kCorrupt, "no record of uploaded parts of this version, or a damaged one");
  Lines lines(bytes);
  PartsRecord parsed;
  if (!TakeUpload(lines, kPartsTitle, parsed.data_file, parsed.upload_id)) return error;
  const auto count = lines.NextCount();
  if (!count || *count < 1 || *count > kMaxParts) return error;
  for (int64_t i = 0; i < *count; ++i) {
    const auto line = lines.Next();
    const auto part = line ? ParsePart(*line) : std::nullopt;
    if (!part || (!parsed.parts.empty() && part->number <= parsed.parts.back().number)) return error;
    parsed.parts.push_back(*part);
  }
  if (!TakeTail(lines, parsed.tail)) return error;
  return parsed;
}

}  // namespace leman
