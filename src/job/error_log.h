// The rows a job skipped, kept beside the table. Format: docs/formats/error_record.md.
#pragma once

#include <cstdint>
#include <set>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "io/object_store.h"
#include "model/backfill_spec.h"
#include "model/task_outcome.h"

namespace leman {

/// Beyond kMaxRows, rows are listed but not described.
class ErrorLog {
 public:
  ErrorLog(const BackfillSpec& spec, ObjectStore& store, Clock& clock) : spec_(spec), store_(store), clock_(clock) {}

  /// Rows of a version of the table.
  void Add(const std::vector<SkippedRow>& rows, int64_t table_version);
  [[nodiscard]] int64_t rows_skipped() const { return rows_skipped_; }
  /// Writes the record if there are rows that the last one does not have.
  Status Write();

  static constexpr int64_t kMaxRows = 10000;

 private:
  struct Entry {
    SkippedRow row;
    int64_t table_version;
    int64_t unix_micros;
  };

  const BackfillSpec& spec_;
  ObjectStore& store_;
  Clock& clock_;
  std::vector<Entry> entries_;
  std::set<std::pair<int64_t, int64_t>> skipped_;  ///< All of them: fragment, row.
  int64_t rows_skipped_ = 0;
  int64_t rows_written_ = 0;
};

}  // namespace leman
