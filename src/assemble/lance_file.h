// The part of a Lance v2 file that says where everything is: footer, tables, schema descriptor, column metadata.
// The layout is described in docs/formats/assembled_file.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "assemble/byte_source.h"
#include "assemble/column_metadata.h"
#include "assemble/file_descriptor.h"
#include "base/result.h"

namespace leman {

enum class LanceVersion { k2_0, k2_1, k2_2 };

/// The version numbers that a table's DataFile carries, e.g. 2 and 0. The footer of a 2.0 file says 0 and 3 instead.
struct VersionNumbers {
  int major = 0;
  int minor = 0;
  friend bool operator==(const VersionNumbers&, const VersionNumbers&) = default;
};
VersionNumbers DataFileVersion(LanceVersion version);
VersionNumbers FooterVersion(LanceVersion version);

/// Buffers begin at multiples of this; readers of 2.1 and later insist on it.
inline constexpr uint64_t kBufferAlignment = 64;

struct LanceFile {
  LanceVersion version = LanceVersion::k2_2;
  int64_t size_bytes = 0;
  SchemaDescriptor descriptor;
  std::vector<ColumnMetadata> columns;
  std::vector<BufferRange> global_buffers;  ///< The first is the schema descriptor.
};

/// Reads and checks everything but the pages: every length, offset and alignment. Page buffers are known to lie before
/// the schema descriptor, inside the file. kCorrupt if something does not fit, kUnsupported for versions and contents
/// that this build does not know.
Result<LanceFile> ReadLanceFile(ByteSource& source);

/// The end of a file from `position` (a multiple of kBufferAlignment) on: descriptor, column metadata, tables, footer.
std::string EncodeLanceTail(LanceVersion version, uint64_t position, const SchemaDescriptor& descriptor,
                            const std::vector<ColumnMetadata>& columns);

}  // namespace leman
