#include "api/environment_place.h"

#include <unistd.h>

#include <optional>
#include <string_view>
#include <system_error>
#include <vector>

namespace leman::api {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kHostPrefix = "_host.cpython-";
constexpr std::string_view kHostSuffix = ".so";

Error EnvironmentError(std::string message) {
  return Error{ErrorKind::kEnvironment, "EnvironmentError", std::move(message), {}};
}

// "_host.cpython-311-x86_64-linux-gnu.so" → "3.11" and "x86_64-linux-gnu".
bool ReadHostName(const std::string& name, PackagePlace& place) {
  if (name.rfind(kHostPrefix, 0) != 0 || name.size() <= kHostPrefix.size() + kHostSuffix.size()) return false;
  if (name.compare(name.size() - kHostSuffix.size(), kHostSuffix.size(), kHostSuffix) != 0) return false;
  const std::string tag = name.substr(kHostPrefix.size(), name.size() - kHostPrefix.size() - kHostSuffix.size());
  const size_t dash = tag.find('-');
  const std::string digits = tag.substr(0, dash);
  if (digits.size() < 2) return false;
  place.python_version = digits.substr(0, 1) + "." + digits.substr(1);
  place.platform = dash == std::string::npos ? "" : tag.substr(dash + 1);
  return true;
}

bool IsProgram(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored) && ::access(path.c_str(), X_OK) == 0;
}

bool IsFile(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

// <prefix>/lib/python3.11/site-packages/leman → <prefix>/bin/python3.11.
std::optional<fs::path> InterpreterOfPrefix(const PackagePlace& package) {
  const fs::path version_folder = package.folder.parent_path().parent_path();
  if (version_folder.filename() != "python" + package.python_version) return std::nullopt;
  const fs::path programs = version_folder.parent_path().parent_path() / "bin";
  for (const std::string& name : {"python" + package.python_version, std::string("python3"), std::string("python")}) {
    if (IsProgram(programs / name)) return programs / name;
  }
  return std::nullopt;
}

std::optional<fs::path> InterpreterOnPath(const PackagePlace& package, const std::string& path_variable) {
  const std::string wanted = "python" + package.python_version;
  size_t begin = 0;
  while (begin < path_variable.size()) {
    size_t end = path_variable.find(':', begin);
    if (end == std::string::npos) end = path_variable.size();
    const fs::path candidate = fs::path(path_variable.substr(begin, end - begin)) / wanted;
    if (candidate.is_absolute() && IsProgram(candidate)) return candidate;
    begin = end + 1;
  }
  return std::nullopt;
}

Result<fs::path> FindExecutable(const PackagePlace& package, const VariableLookup& variable) {
  if (const std::string named = variable("LEMAN_PYTHON"); !named.empty()) {
    if (fs::path(named).is_absolute() && IsProgram(named)) return fs::path(named);
    return EnvironmentError("LEMAN_PYTHON='" + named + "': expected the absolute path of a Python " +
                            package.python_version + " interpreter");
  }
  if (const auto found = InterpreterOfPrefix(package)) return *found;
  if (const auto found = InterpreterOnPath(package, variable("PATH"))) return *found;
  return EnvironmentError("no Python " + package.python_version + " was found for the leman package in " +
                          package.folder.parent_path().string() +
                          ": set LEMAN_PYTHON to the interpreter that it is installed for");
}

Result<fs::path> FindLibpython(const PackagePlace& package, const fs::path& executable,
                               const VariableLookup& variable) {
  if (const std::string named = variable("LEMAN_LIBPYTHON"); !named.empty()) {
    if (IsFile(named)) return fs::path(named);
    return EnvironmentError("LEMAN_LIBPYTHON='" + named + "': expected the path of libpython" + package.python_version +
                            ".so.1.0");
  }
  std::error_code failed;
  const fs::path real = fs::canonical(executable, failed);
  // A name alone would let the loader find the library of another installation.
  const fs::path prefix = (failed ? executable : real).parent_path().parent_path();
  const std::string name = "libpython" + package.python_version + ".so";
  for (const fs::path& folder : {prefix / "lib", prefix / "lib" / package.platform, prefix / "lib64"}) {
    for (const std::string& candidate : {name + ".1.0", name}) {
      if (IsFile(folder / candidate)) return folder / candidate;
    }
  }
  return EnvironmentError(executable.string() + " has no shared library (" + name + ".1.0 below " + prefix.string() +
                          "), which the C++ API needs: on Debian, apt-get install libpython" + package.python_version +
                          "; a Python that is built from source needs --enable-shared (pyenv: "
                          "PYTHON_CONFIGURE_OPTS=--enable-shared); LEMAN_LIBPYTHON names one that lies elsewhere");
}

}  // namespace

Result<PackagePlace> FindPackage(const fs::path& library) {
  PackagePlace place;
  std::error_code failed;
  const fs::path at = fs::absolute(library, failed);
  place.folder = at.parent_path().parent_path().lexically_normal();
  if (failed || at.parent_path().filename() != "lib" || !IsFile(place.folder / "__init__.py")) {
    return EnvironmentError(library.string() +
                            " is not inside of an installed leman package: link the one of `leman --cmake-dir`, and "
                            "leave it where it is");
  }
  for (const auto& entry : fs::directory_iterator(place.folder, failed)) {
    if (!ReadHostName(entry.path().filename().string(), place)) continue;
    place.host_module = entry.path();
    return place;
  }
  return EnvironmentError(place.folder.string() + " lacks its _host extension module; install leman again");
}

Result<InterpreterPlace> FindInterpreter(const PackagePlace& package, const VariableLookup& variable) {
  Result<fs::path> executable = FindExecutable(package, variable);
  if (!executable.ok()) return executable.error();
  Result<fs::path> libpython = FindLibpython(package, *executable, variable);
  if (!libpython.ok()) return libpython.error();
  return InterpreterPlace{*executable, *libpython};
}

}  // namespace leman::api
