#include "fragment_files.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <filesystem>

#include "io/local_object_store.h"
#include "python_error.h"

namespace leman::python {
namespace nb = nanobind;

Result<AssembledFragment> LocalAssembler::Assemble(int64_t fragment_id, const std::vector<FragmentPart>& parts,
                                                   int64_t physical_rows, const std::string& file_name) {
  namespace fs = std::filesystem;
  const std::string output = table_root_ + "/data/" + file_name;
  AssembledFragment assembled;
  assembled.update.fragment_id = fragment_id;
  assembled.update.rows = physical_rows;
  assembled.update.file_name = file_name;
  std::error_code error;
  fs::create_directories(table_root_ + "/data", error);
  if (parts.size() == 1) {
    const std::string source = table_root_ + "/" + parts.front().key;
    fs::create_hard_link(source, output, error);
    if (!error) {
      assembled.way = AssemblyWay::kLinked;
      assembled.update.size_bytes = static_cast<int64_t>(fs::file_size(output, error));
      return assembled;
    }
  }
  std::vector<std::string> paths;
  for (const FragmentPart& part : parts) paths.push_back(table_root_ + "/" + part.key);
  const nb::gil_scoped_acquire gil;
  try {
    assembled.update.size_bytes = nb::cast<int64_t>(host_.attr("reencode")(paths, output));
    assembled.copied_bytes = assembled.update.size_bytes;
    assembled.way = AssemblyWay::kReencoded;
    return assembled;
  } catch (const nb::python_error& exception) {
    return ErrorOf(exception, ErrorKind::kInternal);
  }
}

}  // namespace leman::python
