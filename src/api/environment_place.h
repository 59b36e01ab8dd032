// Where libleman.so's Python environment lies: the package that it belongs to, the interpreter that the package is
// installed for, and that interpreter's shared library.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "leman/result.h"

namespace leman::api {

/// The installed leman package.
struct PackagePlace {
  std::filesystem::path folder;       ///< .../site-packages/leman
  std::filesystem::path host_module;  ///< Its _host extension.
  std::string python_version;         ///< "3.11": the one that the extension is built for.
  std::string platform;               ///< "x86_64-linux-gnu", from the extension's name; may be empty.
};

/// The interpreter to host.
struct InterpreterPlace {
  std::filesystem::path executable;  ///< As it is in its environment, not what a link leads to.
  std::filesystem::path libpython;
};

/// A variable of the process's environment; empty where it is not set.
using VariableLookup = std::function<std::string(const char* name)>;

/// Finds the package that libleman.so at `library` (as the loader found it) is a part of.
[[nodiscard]] Result<PackagePlace> FindPackage(const std::filesystem::path& library);

/// Finds the interpreter of a package: what LEMAN_PYTHON names, else the environment that the package is installed in,
/// else the interpreter of that version on PATH; and its shared library: what LEMAN_LIBPYTHON names, else beside it.
[[nodiscard]] Result<InterpreterPlace> FindInterpreter(const PackagePlace& package, const VariableLookup& variable);

}  // namespace leman::api
