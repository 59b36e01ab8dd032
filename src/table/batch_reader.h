// Port: reads the rows of a task from the table version the job runs on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/arrow_c_data.h"
#include "model/row_range.h"

namespace leman {

struct ReadRequest {
  std::vector<RowRange> pieces;    ///< Read in this order; of several, most are whole fragments.
  int64_t batch_rows = 0;          ///< Upper bound on the rows of a batch.
  std::string filter;              ///< Empty: every live row is selected.
  bool with_deleted_rows = false;  ///< Some piece has deleted rows.
};

/// Batches of physical rows, deleted ones included, exactly those of the request's pieces and in their order. Columns:
/// the function's inputs in argument order; then, with a filter, the output column's present value and a boolean "is
/// selected"; then, with deleted rows, a nullable column whose null marks a deleted row. The values of unselected or
/// deleted rows are undefined.
struct BatchStream {
  OwnedSchema schema;
  OwnedStream stream;
};

class BatchReader {
 public:
  virtual ~BatchReader() = default;
  virtual Result<BatchStream> Open(const ReadRequest& request) = 0;
  /// What a failed read of these rows means, after a look at the files that hold them: one that is missing or cut short
  /// does not become whole by trying again. `error` itself where nothing is to be seen.
  virtual Error Explain(const ReadRequest& request, Error error) {
    (void)request;
    return error;
  }
};

}  // namespace leman
