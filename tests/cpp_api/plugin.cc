// Loaded by a Python process: the library then uses the interpreter that runs already.
#include <leman/leman.h>

#include <cstdio>
#include <string>

/// The number of tables of a database, or -1 and the error's text in `text`.
extern "C" __attribute__((visibility("default"))) int count_tables(const char* uri, char* text, int size) {
  const leman::Result<leman::Connection> db = leman::Connect(uri);
  if (!db.ok()) {
    std::snprintf(text, static_cast<size_t>(size), "%s", db.error().message.c_str());
    return -1;
  }
  return static_cast<int>(db->TableNames().value().size());
}
