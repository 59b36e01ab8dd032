// Makes a table, fills a column of it with a native function, and reads the column back: all in C++.
#include <leman/leman.h>

#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

#include "text_stream.h"

namespace {

// The int32 values of a stream's only column.
std::vector<int32_t> ReadInt32(ArrowArrayStream& stream) {
  std::vector<int32_t> values;
  ArrowArray batch{};
  while (stream.get_next(&stream, &batch) == 0 && batch.release != nullptr) {
    const ArrowArray& column = *batch.children[0];
    const auto* data = static_cast<const int32_t*>(column.buffers[1]) + column.offset;
    values.insert(values.end(), data, data + column.length);
    batch.release(&batch);
  }
  stream.release(&stream);
  return values;
}

void Run(const std::string& folder) {
  const leman::Connection db = leman::Connect(folder).value();

  const std::vector<std::string> texts = {"to be or not to be", "that is the question", ""};
  ArrowArrayStream data;
  TextStream::Export("text", texts, &data);
  const leman::Table table = db.CreateTable("texts", &data, {.mode = "overwrite"}).value();

  // The column is null, and remembers its function.
  leman::NativeUdf word_count{.library = TEXT_FUNCTIONS, .function = "word_count"};
  table.AddColumn("n_words", word_count).value();

  // Fills it; after a crash, the same call goes on where it was.
  const leman::BackfillResult job = table.Backfill("n_words", {.concurrency = 2}).value();
  std::printf("job %s: %lld rows computed\n", job.job_id.c_str(), static_cast<long long>(job.rows_computed));

  ArrowArrayStream scan;
  table.Scan(&scan, {.columns = {{"n_words"}}}).value();
  const std::vector<int32_t> counts = ReadInt32(scan);
  for (size_t i = 0; i < counts.size(); ++i) std::printf("%d  %s\n", counts[i], texts[i].c_str());
  if (counts != std::vector<int32_t>{6, 4, 0}) throw std::runtime_error("these are not the counts");
}

}  // namespace

int main(int argc, char** argv) {
  try {
    Run(argc > 1 ? argv[1] : "./db");
    return 0;
  } catch (const std::exception& failed) {  // A leman::BadResult holds the Error; what() is its text.
    std::fprintf(stderr, "%s\n", failed.what());
    return 1;
  }
}
