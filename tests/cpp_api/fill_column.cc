// fill_column URI TABLE COLUMN [EXECUTOR]: one backfill, whatever the column's function is. Storage options are in
// STORAGE_OPTIONS, as name=value;name=value; checkpoints lie in CHECKPOINT_URI, where that is given. With BLOCK_SIGNALS
// the program takes no signal, as servers do that take them in one thread.
#include <leman/leman.h>
#include <signal.h>

#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>

int main(int argc, char** argv) {
  if (std::getenv("BLOCK_SIGNALS") != nullptr) {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
  }
  leman::ConnectOptions storage;
  if (const char* given = std::getenv("STORAGE_OPTIONS"); given != nullptr) {
    std::istringstream entries(given);
    for (std::string entry; std::getline(entries, entry, ';');) {
      const size_t at = entry.find('=');
      storage.storage_options[entry.substr(0, at)] = entry.substr(at + 1);
    }
  }
  if (const char* place = std::getenv("CHECKPOINT_URI"); place != nullptr) storage.checkpoint_uri = place;
  leman::BackfillOptions options;
  options.concurrency = 2;
  if (argc > 4) options.executor = argv[4];
  const leman::Table table = leman::Connect(argv[1], storage)->OpenTable(argv[2]).value();
  const leman::Result<leman::BackfillResult> ended = table.Backfill(argv[3], options);
  if (!ended.ok()) {
    std::printf("%s\t%s\n", ended.error().type.c_str(), ended.error().message.c_str());
    return 1;
  }
  std::printf("%lld rows computed\n", static_cast<long long>(ended->rows_computed));
  return 0;
}
