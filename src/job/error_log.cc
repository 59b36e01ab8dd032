#include "job/error_log.h"

#include <nlohmann/json.hpp>

namespace leman {

void ErrorLog::Add(const std::vector<SkippedRow>& rows) {
  rows_skipped_ += static_cast<int64_t>(rows.size());
  for (const SkippedRow& row : rows) {
    if (static_cast<int64_t>(entries_.size()) == kMaxRows) return;
    entries_.push_back({row, clock_.UnixMicros()});
  }
}

Status ErrorLog::Write() {
  if (rows_skipped_ == rows_written_) return Ok();
  using Json = nlohmann::ordered_json;
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
                      {"timestamp", FormatUtc(entry.unix_micros)}});
  }
  const Json record = {{"format", 1},
                       {"job_id", spec_.job_id},
                       {"column", spec_.column},
                       {"udf_name", spec_.udf_name},
                       {"udf_version", spec_.udf_version},
                       {"rows_skipped", rows_skipped_},
                       {"errors", std::move(errors)}};
  LEMAN_RETURN_IF_ERROR(store_.Put("_leman/errors/" + spec_.job_id + ".json",
                                   record.dump(1, ' ', false, Json::error_handler_t::replace) + "\n"));
  rows_written_ = rows_skipped_;
  return Ok();
}

}  // namespace leman
