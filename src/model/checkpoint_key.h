// Identities: what makes a checkpoint or a data file "the same computation". Format: docs/formats/identity.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "model/backfill_spec.h"
#include "model/fragment_info.h"
#include "model/row_range.h"

namespace leman {

/// Which rows of a fragment a job computes.
enum class Selection {
  kAll,     ///< Every row that is not deleted.
  kFilter,  ///< The rows that a filter selects; the others keep their value.
};

/// The folder of a job's checkpoints: column, UDF version, type and `where`; 32 hexadecimal digits.
std::string ComputationId(const BackfillSpec& spec);

/// What a checkpoint of `fragment` depends on beside the computation; 16 hexadecimal digits. With a filter that
/// includes the file whose values are carried over.
std::string FragmentKey(const FragmentInfo& fragment, Selection selection, const std::string& filter);

/// How much of a fragment a data file's values come from the UDF version it names.
enum class DoneScope {
  kFull,     ///< All rows.
  kPartial,  ///< Some rows; all others are null still.
  kMixed,    ///< Some rows; others hold values of something else.
};

/// The done-record that a data file's name carries; see docs/formats/done_record.md.
struct DoneRecord {
  DoneScope scope = DoneScope::kFull;
  std::string computation;  ///< 24 hexadecimal digits: column, UDF version, type, input data files.
  std::string where;        ///< 8 hexadecimal digits; "0" without `where`.
};

/// `computation` of the record that this job would write for `fragment`.
std::string DoneComputation(const BackfillSpec& spec, const FragmentInfo& fragment);
/// `where` of the record that this job would write for `fragment`.
std::string DoneWhere(const BackfillSpec& spec, const FragmentInfo& fragment);

/// File name "leman-<scope><computation>-<where>-<unique>.lance".
std::string DoneFileName(const DoneRecord& record, const std::string& unique);
/// The record in a data file's name, if it has one.
std::optional<DoneRecord> ParseDoneFileName(const std::string& file_name);

/// File name of a checkpoint: "<fragment>-<fragment key>-<start>-<end>-<crc>.lance"; without `crc`, as they were once,
/// nobody can tell whether its bytes are what was written.
std::string CheckpointFileName(const RowRange& range, const std::string& fragment_key,
                               std::optional<uint32_t> crc = std::nullopt);

struct CheckpointName {
  RowRange range;
  std::string fragment_key;
  std::optional<uint32_t> crc;  ///< CRC-32C of the file.
};
/// The parts of a checkpoint's file name, if it is one.
std::optional<CheckpointName> ParseCheckpointFileName(const std::string& file_name);

}  // namespace leman
