// Test tool: carries out assemblies that it reads, one a line, from standard input.
//   stitch <TAB> output <TAB> rows <TAB> threads <TAB> coalesce_below_bytes <TAB> verify (0 or 1) {<TAB> path <TAB>
//   start <TAB> end} tail <TAB> path     (is the end of the file what this engine would have written?)
// and answers, one line each: "ok" and what was made, or "error", the kind and the message.
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "assemble/byte_source.h"
#include "assemble/fragment_assembler.h"
#include "assemble/lance_file.h"

namespace leman {
namespace {

class RefusingReencoder final : public Reencoder {
 public:
  Result<Unit> Reencode(const std::vector<CheckpointFile>&, const std::string&) override {
    return MakeError(ErrorKind::kUnsupported, "refused");
  }
};

std::string WayName(AssembledFile::Way way) {
  switch (way) {
    case AssembledFile::Way::kLinked:
      return "linked";
    case AssembledFile::Way::kPlaced:
      return "placed";
    case AssembledFile::Way::kStitched:
      return "stitched";
    case AssembledFile::Way::kReencoded:
      break;
  }
  return "reencoded";
}

Result<std::string> Stitch(const std::vector<std::string>& words) {
  std::vector<CheckpointFile> checkpoints;
  for (size_t i = 6; i + 2 < words.size(); i += 3) {
    checkpoints.push_back({words[i], std::stoll(words[i + 1]), std::stoll(words[i + 2])});
  }
  AssembleOptions options;
  options.threads = std::stoi(words[3]);
  options.coalesce_below_bytes = std::stoll(words[4]);
  options.verify_copy = words[5] == "1";
  RefusingReencoder reencoder;
  LEMAN_ASSIGN_OR_RETURN(const AssembledFile file,
                         AssembleFragment(checkpoints, std::stoll(words[2]), words[1], reencoder, options));
  std::ostringstream out;
  out << WayName(file.way) << '\t' << file.rows << '\t' << file.size_bytes << '\t' << file.bytes.written() << '\t'
      << file.column_count << '\t' << file.major_version << '\t' << file.minor_version;
  return out.str();
}

Result<std::string> CompareTail(const std::string& path) {
  LEMAN_ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> source, OpenLocalFile(path));
  LEMAN_ASSIGN_OR_RETURN(const LanceFile file, ReadLanceFile(*source));
  const uint64_t start = file.global_buffers.front().offset;
  LEMAN_ASSIGN_OR_RETURN(const std::string found,
                         source->Read(static_cast<int64_t>(start), source->size_bytes() - static_cast<int64_t>(start)));
  if (EncodeLanceTail(file.version, start, file.descriptor, file.columns) != found) {
    return MakeError(ErrorKind::kInternal, "the tail differs");
  }
  return std::string("same");
}

Result<std::string> Answer(const std::string& line) {
  std::vector<std::string> words;
  std::istringstream in(line);
  for (std::string word; std::getline(in, word, '\t');) words.push_back(word);
  if (words.size() >= 9 && words[0] == "stitch") return Stitch(words);
  if (words.size() == 2 && words[0] == "tail") return CompareTail(words[1]);
  return MakeError(ErrorKind::kInvalidArgument, "unknown command");
}

}  // namespace
}  // namespace leman

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    const leman::Result<std::string> answer = leman::Answer(line);
    if (answer.ok()) {
      std::cout << "ok\t" << *answer << std::endl;
    } else {
      std::cout << "error\t" << leman::ErrorKindName(answer.error().kind) << '\t' << answer.error().message
                << std::endl;
    }
  }
  return 0;
}
