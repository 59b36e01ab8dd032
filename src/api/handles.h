// What the handles of leman/leman.h hold.
#pragma once

#include <memory>

#include "api/host.h"

namespace leman {
inline namespace v1 {

class Connection::Impl {
 public:
  std::shared_ptr<api::Database> database;
};

class Table::Impl {
 public:
  std::shared_ptr<api::Database> database;
  api::TablePlace place;
};

}  // namespace v1
}  // namespace leman
