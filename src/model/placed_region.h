// A checkpoint that lies inside its fragment's pages file. Format: docs/formats/pages_file.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "model/row_range.h"

namespace leman {

/// Where a checkpoint lies in a pages file: the file's first `end` bytes are a Lance file with its rows.
struct PlacedRegion {
  std::string pages_id;  ///< 16 hexadecimal digits.
  int64_t end = 0;
  int64_t size_bytes = 0;  ///< Of those bytes, what belongs to it.
  uint32_t crc = 0;        ///< CRC-32C of its page buffers, in the order of the pages, and its tail.
  friend bool operator==(const PlacedRegion&, const PlacedRegion&) = default;
};

/// A record: the rows that a region holds.
struct RegionName {
  RowRange range;
  std::string fragment_key;
  PlacedRegion region;
};

/// "<fragment>-<fragment key>.pages".
std::string PagesFileName(int64_t fragment_id, const std::string& fragment_key);
/// Whether a file has such a name.
bool IsPagesFileName(const std::string& file_name);
/// "<fragment>-<fragment key>-<start>-<end>-<id>-<end>-<size>-<crc>.region".
std::string RegionFileName(const RegionName& name);
/// The parts of a record's file name, if it is one.
std::optional<RegionName> ParseRegionFileName(const std::string& file_name);

}  // namespace leman
