#include <algorithm>

#include "schedule/scheduler.h"

namespace leman {

std::vector<RowRange> PiecesFrom(const std::vector<RowRange>& pieces, int64_t from_row) {
  std::vector<RowRange> rest;
  for (const RowRange& piece : pieces) {
    if (from_row >= piece.rows()) {
      from_row -= piece.rows();
      continue;
    }
    rest.push_back({piece.fragment_id, piece.start + from_row, piece.end});
    from_row = 0;
  }
  return rest;
}

std::vector<RowRange> FirstRows(const std::vector<RowRange>& pieces, int64_t rows) {
  std::vector<RowRange> first;
  for (const RowRange& piece : pieces) {
    if (rows <= 0) break;
    first.push_back({piece.fragment_id, piece.start, piece.start + std::min(rows, piece.rows())});
    rows -= piece.rows();
  }
  return first;
}

std::vector<RowRange> Without(const std::vector<RowRange>& pieces, const std::vector<RowRange>& removed) {
  std::vector<RowRange> rest;
  for (const RowRange& piece : pieces) {
    std::vector<RowRange> covered;
    for (const RowRange& range : removed) {
      if (range.fragment_id == piece.fragment_id && range.end > piece.start && range.start < piece.end) {
        covered.push_back(range);
      }
    }
    std::sort(covered.begin(), covered.end(), [](const auto& a, const auto& b) { return a.start < b.start; });
    int64_t at = piece.start;
    for (const RowRange& range : covered) {
      if (range.start > at) rest.push_back({piece.fragment_id, at, range.start});
      at = std::max(at, range.end);
    }
    if (at < piece.end) rest.push_back({piece.fragment_id, at, piece.end});
  }
  return rest;
}

std::string DescribeRows(const RowRange& range) {
  if (range.rows() == 1) {
    return "row " + std::to_string(range.start) + " of fragment " + std::to_string(range.fragment_id);
  }
  return "rows " + std::to_string(range.start) + " to " + std::to_string(range.end - 1) + " of fragment " +
         std::to_string(range.fragment_id);
}

}  // namespace leman
