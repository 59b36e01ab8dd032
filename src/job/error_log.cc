#include "job/error_log.h"

#include <nlohmann/json.hpp>
#include <string>

namespace leman {
namespace {

using Json = nlohmann::ordered_json;

// All rows as [fragment, first, last + 1].
Json RangesOf(const std::set<std::pair<int64_t, int64_t>>& rows) {
  std::vector<RowRange> ranges;
  for (const auto& [fragment, row] : rows) {
    if (!ranges.empty() && ranges.back().fragment_id == fragment && ranges.back().end == row) {
      ++ranges.back().end;
    } else {
      ranges.push_back({fragment, row, row + 1});
    }
  }
  Json json = Json::array();
  for (const RowRange& range : ranges) json.push_back({range.fragment_id, range.start, range.end});
  return json;
}

}  // namespace

void ErrorLog::Add(const std::vector<SkippedRow>& rows, int64_t table_version) {
  rows_skipped_ += static_cast<int64_t>(rows.size());
  for (const SkippedRow& row : rows) skipped_.insert({row.fragment_id, row.row});
  for (const SkippedRow& row : rows) {
    if (static_cast<int64_t>(entries_.size()) == kMaxRows) return;
    entries_.push_back({row, table_version, clock_.UnixMicros()});
  }
}

Status ErrorLog::Write() {
  if (rows_skipped_ == rows_written_) return Ok();
  Json errors = Json::array();
  for (const Entry& entry : entries_) {
    const SkippedRow& row = entry.row;
    errors.push_back({{"fragment_id", row.fragment_id},
                      {"row", row.row},
                      {"row_address", row.fragment_id << 32 | row.row},
                      {"error_type", row.error_type},
                      {"error_message", row.message},
                      {"traceback", row.traceback},
                      {"attempts", row.attempts},
                      {"timestamp", FormatUtc(entry.unix_micros)},
                      {"table_version", entry.table_version}});
  }
  const Json record = {{"format", 1},
                       {"job_id", spec_.job_id},
                       {"column", spec_.column},
                       {"udf_name", spec_.udf_name},
                       {"udf_version", spec_.udf_version},
                       {"read_version", spec_.read_version},
                       {"rows_skipped", rows_skipped_},
                       {"errors", std::move(errors)},
                       {"rows", RangesOf(skipped_)}};
  LEMAN_RETURN_IF_ERROR(store_.Put("_leman/errors/" + spec_.job_id + ".json",
                                   record.dump(1, ' ', false, Json::error_handler_t::replace) + "\n"));
  rows_written_ = rows_skipped_;
  return Ok();
}

}  // namespace leman
