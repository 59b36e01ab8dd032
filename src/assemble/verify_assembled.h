// Checks a finished data file before it is offered to the table, which itself checks nothing.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "assemble/file_assembly.h"
#include "assemble/lance_file.h"
#include "base/result.h"

namespace leman {

struct AssembledExpectations {
  LanceVersion version = LanceVersion::k2_2;
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t pages = 0;
  int64_t size_bytes = 0;
  std::vector<CopiedPiece> pieces;  ///< Whose bytes are read and compared by checksum.
  int threads = 1;
  const std::atomic<bool>* cancel = nullptr;
};

/// CRC-32C of the page buffers of `file` as they lie in `bytes`, column by column in the order of the pages, and of
/// everything from the schema descriptor to the end.
Result<uint32_t> ChecksumOfFile(const PosixFile& bytes, const LanceFile& file, const std::atomic<bool>* cancel);

int64_t CountPages(const LanceFile& file);

/// kCorrupt, saying what is wrong, unless what the tail of the file named `path` says is what is expected; looks at
/// no bytes of `expected.pieces`.
Status CheckAssembled(const LanceFile& file, const std::string& path, const AssembledExpectations& expected);

/// The same of what was encoded again: its rows, and that its columns hold them.
Status CheckReencoded(const LanceFile& file, const std::string& path, int64_t rows);

/// CheckAssembled of the file at `path`, and of its pieces. Returns what its tail says.
Result<LanceFile> VerifyAssembled(const std::string& path, const AssembledExpectations& expected);

}  // namespace leman
