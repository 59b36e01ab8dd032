// Makes small Lance files of chosen pages, for tests that need control of every byte.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "assemble/lance_file.h"

namespace leman::testing {

struct SyntheticPage {
  uint64_t rows = 0;
  std::vector<std::string> buffers;
};

/// One column "c" of the logical type and with the pages given; versions from 2.1 on.
struct SyntheticFile {
  LanceVersion version = LanceVersion::k2_2;
  std::string logical_type = "int64";
  std::vector<std::pair<std::string, std::string>> field_metadata;
  std::vector<std::pair<std::string, std::string>> metadata;
  std::vector<SyntheticPage> pages;
  uint64_t gap = 0;  ///< Unused bytes before each page but the first.
};

/// The field that `file` describes.
SchemaField FieldOf(const SyntheticFile& file);
/// The bytes of the file.
std::string Build(const SyntheticFile& file);
/// An `Encoding` message around `content` of the message type `url`.
std::string WrapEncoding(std::string_view url, std::string_view content);
/// A page encoding that says: layout number `layout` of a page of version 2.1 and later.
std::string PageLayoutEncoding(uint32_t layout);
/// A column encoding that says: just its pages.
std::string PlainColumnEncoding();

}  // namespace leman::testing
