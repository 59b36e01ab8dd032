// The interpreter of this process, started at the first use.
#pragma once

#include <memory>
#include <string>

#include "api/host.h"

namespace leman::api {

/// Opens a database in this process's host, which is started, or found running, at the first call. A failed start may
/// be tried again. Thread-safe; a caller that holds the GIL of an interpreter that runs already gives it up meanwhile.
[[nodiscard]] Result<std::shared_ptr<Database>> ConnectInHost(const std::string& uri, const ConnectOptions& options);

/// The error of a process that was forked from one that had started its host, if this is one.
[[nodiscard]] Status CheckNotForked();

}  // namespace leman::api
