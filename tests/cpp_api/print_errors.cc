// Prints the errors of wrong calls, one a line: name, class, text. tests/python/cpp_api compares them with Python's.
#include <leman/leman.h>

#include <cstdio>
#include <string>

#include "number_stream.h"

namespace {

template <typename T>
void Print(const char* name, const leman::Result<T>& result) {
  if (result.ok()) {
    std::printf("%s\tno error\t\n", name);
    return;
  }
  std::string text = result.error().message;
  for (char& c : text) c = c == '\n' ? ' ' : c;
  std::printf("%s\t%s\t%s\n", name, result.error().type.c_str(), text.c_str());
}

leman::BackfillOptions With(void (*change)(leman::BackfillOptions&)) {
  leman::BackfillOptions options;
  change(options);
  return options;
}

void PrintColumnErrors(const leman::Table& table) {
  leman::NativeUdf twice;
  twice.library = TEST_FUNCTIONS;
  twice.function = "twice";
  Print("column taken", table.AddColumn("x", twice));
  leman::NativeUdf wrong = twice;
  wrong.function = "twise";
  Print("no such function", table.AddColumn("y", wrong));
  wrong = twice;
  wrong.library = "/nowhere/lib.so";
  Print("no such library", table.AddColumn("y", wrong));
  wrong = twice;
  wrong.input_columns = {"missing"};
  Print("no such input", table.AddColumn("z", wrong));
  wrong = twice;
  wrong.input_columns = {"text"};
  Print("wrong type", table.AddColumn("z", wrong));
  wrong = twice;
  wrong.params = R"({"by": 2})";
  Print("unknown parameter", table.AddColumn("y", wrong));
  wrong = twice;
  wrong.batch_size = 0;
  Print("batch_size of the function", table.AddColumn("y", wrong));
  leman::OnError retry = leman::OnError::Retry();
  retry.match = "(";
  wrong = twice;
  wrong.on_error = {retry};
  Print("match", table.AddColumn("y", wrong));
}

void PrintBackfillErrors(const leman::Table& table) {
  Print("no such column", table.Backfill("z"));
  Print("no function", table.Backfill("x"));
  Print("concurrency", table.Backfill("y", With([](auto& o) { o.concurrency = 0; })));
  Print("commit_granularity", table.Backfill("y", With([](auto& o) { o.commit_granularity = -1; })));
  Print("where", table.Backfill("y", With([](auto& o) { o.where = "x >"; })));
  Print("where column", table.Backfill("y", With([](auto& o) { o.where = "missing = 1"; })));
  Print("read_version", table.Backfill("y", With([](auto& o) { o.read_version = 99; })));
  Print("executor", table.Backfill("y", With([](auto& o) { o.executor = "cloud"; })));
  Print("timeout", table.Backfill("y", With([](auto& o) { o.timeout = leman::Seconds(-1); })));
  Print("job_id", table.Backfill("y", With([](auto& o) { o.job_id = "a/b"; })));
  Print("plan", table.PlanBackfill("y", With([](auto& o) { o.batch_size = 0; })));
  Print("sizes", table.Backfill("y", With([](auto& o) {
                                  o.min_checkpoint_size = 10;
                                  o.max_checkpoint_size = 5;
                                })));
}

}  // namespace

int main(int, char** argv) {
  const leman::Result<leman::Connection> opened = leman::Connect(argv[1]);
  Print("connect", opened);
  if (!opened.ok()) return 0;
  const leman::Connection& db = *opened;
  Print("uri", leman::Connect(""));
  Print("table as uri", leman::Connect(db.uri() + "/numbers.lance"));
  Print("no such table", db.OpenTable("number"));
  Print("table name", db.OpenTable("a/b"));
  Print("no such version", db.OpenTable("numbers", 99));
  Print("version", db.OpenTable("numbers", 0));
  ArrowArrayStream data = number_stream::Make(1);
  Print("table taken", db.CreateTable("numbers", &data));
  leman::CreateTableOptions replace;
  replace.mode = "replace";
  data = number_stream::Make(1);
  Print("mode", db.CreateTable("numbers", &data, replace));
  Print("drop", db.DropTable("gone"));
  Print("no such job", db.GetJob("none"));
  leman::JobsOptions jobs;
  jobs.status = "OVER";
  Print("status", db.Jobs(jobs));
  const leman::Table table = db.OpenTable("numbers").value();
  Print("filter", table.CountRows("x +"));
  PrintColumnErrors(table);
  PrintBackfillErrors(table);
  return 0;
}
