// What one backfill is asked to do: every argument checked, every default resolved.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace leman {

/// Mirrors python/leman/backfill_spec.py, which documents each field.
struct BackfillSpec {
  std::string job_id;
  std::string table_name;
  std::string table_root;  ///< Where the table lies, e.g. "/data/db/photos.lance".
  std::string checkpoint_root =
      {};              ///< Where its checkpoints lie (docs/formats/checkpoint_place.md); empty: in the table.
  std::string column;  ///< One name for what is filled: of several columns, all their names.
  std::vector<std::string> columns;  ///< Where one function fills several columns together: their names.
  std::string udf_name;
  std::string udf_version;
  std::string output_type;       ///< The column's type as text; part of every identity.
  int64_t value_bytes = 0;       ///< Of each value, where its type says so; 0: only the value tells.
  bool copies_in_store = false;  ///< The object store copies ranges of checkpoints into data files.
  std::optional<std::string> where;
  bool where_reads_output = false;  ///< `where` names the column that is filled: its record cannot tell what is done.
  std::optional<std::string> done_version;
  int64_t read_version = 0;
  int32_t concurrency = 8;
  int32_t intra_applier_concurrency = 1;
  double refresh_status_secs = 2.0;
  /// Jobs that run in this process now, this one included; nothing where that is not known.
  std::optional<std::vector<std::string>> jobs_running_here;
  std::optional<int64_t> commit_granularity = 64;
  int64_t task_shuffle_diversity = 8;
  int64_t batch_size = 10240;
  bool batch_size_fixed = false;  ///< The caller chose `batch_size`: every call gets exactly that many rows.
  int64_t first_call_rows = 1;    ///< Where batches adapt: rows of the first call.
  int64_t rows_in_flight = 1;     ///< Rows that one call of the function works on at the same time.
  int64_t input_columns = 0;      ///< How many columns the function reads.
  std::optional<int64_t> checkpoint_rows;
  std::optional<int64_t> min_checkpoint_rows;
  std::optional<int64_t> max_checkpoint_rows;
  std::optional<int64_t> task_rows;
  std::optional<int64_t> num_frags;
  int64_t skip_frags = 0;
  int64_t memory_bytes = 0;  ///< That one worker may hold; 0: not limited.
  std::optional<double> timeout_s;
  std::optional<double> stall_timeout_s;  ///< A worker without progress for so long is replaced.
  /// Only these physical rows, in order, of these fragments, as far as they are null; else all that are not done.
  std::optional<std::map<int64_t, std::vector<int64_t>>> only_rows;
  std::optional<int64_t> max_skip_count;    ///< More skipped rows than this fail the job.
  std::optional<double> max_skip_fraction;  ///< A greater fraction of the job's rows than this fails it.
};

}  // namespace leman
