#include "model/checkpoint_key.h"

#include <string_view>
#include <vector>

#include "base/sha256.h"
#include "model/file_name_parts.h"

namespace leman {
namespace {

constexpr std::string_view kSuffix = ".lance";
constexpr size_t kDoneDigits = 24;
constexpr size_t kFragmentKeyDigits = 16;
constexpr size_t kWhereDigits = 8;

// Each part is preceded by its length, so that no two lists of parts give the same text.
std::string Digest(std::initializer_list<std::string_view> parts, size_t digits) {
  std::string text;
  for (const std::string_view part : parts) {
    text += std::to_string(part.size());
    text += ':';
    text += part;
  }
  return Sha256Hex(text).substr(0, digits);
}

constexpr char ScopeLetter(DoneScope scope) {
  return scope == DoneScope::kFull ? 'f' : scope == DoneScope::kPartial ? 'p' : 'm';
}

}  // namespace

std::string ComputationId(const BackfillSpec& spec) {
  return Digest({"computation", spec.column, spec.udf_version, spec.output_type, spec.where.value_or("")}, 32);
}

std::string FragmentKey(const FragmentInfo& fragment, Selection selection, const std::string& filter) {
  if (selection == Selection::kAll) return Digest({"all", fragment.input_identity}, kFragmentKeyDigits);
  return Digest({"filter", fragment.input_identity, fragment.where_identity, fragment.output_file, filter},
                kFragmentKeyDigits);
}

std::string DoneComputation(const BackfillSpec& spec, const FragmentInfo& fragment) {
  return Digest({"done", spec.column, spec.udf_version, spec.output_type, fragment.input_identity}, kDoneDigits);
}

std::string DoneWhere(const BackfillSpec& spec, const FragmentInfo& fragment) {
  if (!spec.where) return "0";
  return Digest({"where", *spec.where, fragment.where_identity}, kWhereDigits);
}

std::string DoneFileName(const DoneRecord& record, const std::string& unique) {
  return std::string("leman-") + ScopeLetter(record.scope) + record.computation + "-" + record.where + "-" + unique +
         std::string(kSuffix);
}

std::optional<DoneRecord> ParseDoneFileName(const std::string& file_name) {
  const std::string_view name = file_name;
  if (!name.starts_with("leman-") || !name.ends_with(kSuffix)) return std::nullopt;
  const auto parts = SplitName(name.substr(6, name.size() - 6 - kSuffix.size()), '-');
  if (parts.size() != 3 || parts[0].size() != kDoneDigits + 1) return std::nullopt;
  DoneRecord record;
  switch (parts[0][0]) {
    case 'f':
      record.scope = DoneScope::kFull;
      break;
    case 'p':
      record.scope = DoneScope::kPartial;
      break;
    case 'm':
      record.scope = DoneScope::kMixed;
      break;
    default:
      return std::nullopt;
  }
  record.computation = parts[0].substr(1);
  record.where = parts[1];
  if (!IsHex(record.computation) || !IsHex(record.where)) return std::nullopt;
  if (record.where != "0" && record.where.size() != kWhereDigits) return std::nullopt;
  return record;
}

std::string CheckpointFileName(const RowRange& range, const std::string& fragment_key, std::optional<uint32_t> crc) {
  std::string name = std::to_string(range.fragment_id) + "-" + fragment_key + "-" + std::to_string(range.start) + "-" +
                     std::to_string(range.end);
  if (crc) name += "-" + CrcText(*crc);
  return name + std::string(kSuffix);
}

std::optional<CheckpointName> ParseCheckpointFileName(const std::string& file_name) {
  const std::string_view name = file_name;
  if (!name.ends_with(kSuffix)) return std::nullopt;
  const auto parts = SplitName(name.substr(0, name.size() - kSuffix.size()), '-');
  if (parts.size() < 4 || parts.size() > 5 || !IsHex(parts[1], kFragmentKeyDigits)) return std::nullopt;
  const auto fragment = ParseCount(parts[0]);
  const auto start = ParseCount(parts[2]);
  const auto end = ParseCount(parts[3]);
  if (!fragment || !start || !end || *end <= *start) return std::nullopt;
  CheckpointName found{RowRange{*fragment, *start, *end}, std::string(parts[1]), std::nullopt};
  if (parts.size() == 5) {
    found.crc = ParseCrc(parts[4]);
    if (!found.crc) return std::nullopt;
  }
  return found;
}

}  // namespace leman
