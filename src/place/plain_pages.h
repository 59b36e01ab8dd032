// Pages of values that need no encoder: large binaries and vectors, laid out as Lance lays them out.
// Layouts: docs/formats/plain_page.md.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "assemble/column_metadata.h"
#include "assemble/lance_file.h"
#include "assemble/plain_encoding.h"
#include "model/arrow_c_data.h"

namespace leman {

/// The plain type of arrays of `schema`, if it is one.
std::optional<PlainType> PlainTypeOf(const ArrowSchema& schema);

/// Number of nulls of an array of a plain type; of a list also those inside.
int64_t CountNulls(const PlainType& type, const ArrowArray& values);

/// A copy of an array's values that belongs to nobody else.
class PlainCopy {
 public:
  static PlainCopy Of(const PlainType& type, const ArrowArray& values);
  /// Valid as long as this lives and stays where it is not copied; moving is fine.
  [[nodiscard]] const ArrowArray* array() const { return &parts_->array; }

 private:
  struct Parts {
    std::string validity;
    std::string offsets;
    std::string data;
    std::array<const void*, 3> buffers{};
    std::array<ArrowArray*, 1> children{};
    ArrowArray items{};
    ArrowArray array{};
  };
  std::unique_ptr<Parts> parts_ = std::make_unique<Parts>();
};

/// One page. What `bytes` points to lives as long as this and the arrays that it was made of; moving keeps it valid.
struct PlainPage {
  /// CRC-32C of the buffers, without what lies between them, after bytes with checksum `crc`.
  [[nodiscard]] uint32_t ChecksumAfter(uint32_t crc) const;

  int64_t rows = 0;
  int64_t size_bytes = 0;
  std::vector<std::string_view> bytes;  ///< One after the other, the page's content.
  std::vector<BufferRange> buffers;     ///< Offsets from the page's start.
  std::string encoding;                 ///< For ColumnPage.
  std::deque<std::string> own;          ///< What is not in the arrays.
};

/// The page that holds the values of `arrays`. A fixed-size list must have no null.
PlainPage MakePlainPage(const PlainType& type, LanceVersion version, std::span<const ArrowArray* const> arrays);

/// Whether LZ4, which Lance applies to large binaries from version 2.1 on, would make values like `sample` smaller to
/// speak of.
bool LooksCompressible(std::string_view sample);

/// Value `row` of an array of a variable plain type; must not be null.
std::string_view ValueAt(const PlainType& type, const ArrowArray& values, int64_t row);
/// Whether value `row` is null.
bool IsNullAt(const ArrowArray& values, int64_t row);

}  // namespace leman
