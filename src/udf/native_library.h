// A shared library of native UDFs: opened, checked, and asked what it offers. ABI: docs/formats/native_udf_abi.md.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "leman/udf_abi.h"
#include "model/arrow_c_data.h"

namespace leman {

/// What a function says of itself for given parameters.
struct NativeUdfDescription {
  std::string name;
  std::string version;  ///< Empty: the library's content is the version.
  std::string summary;
  OwnedSchema inputs;  ///< A struct, one child an argument.
  OwnedSchema output;  ///< Of one value.
};

/// An open library. Its code stays mapped for the process's life, since arrays that it made are released by it.
class NativeLibrary {
 public:
  /// Loads and runs the library's code: only for libraries that the user asked for. kNotFound: no such file;
  /// kInvalidArgument: no library of UDFs, or one that breaks the ABI; kUnsupported: of another version of the ABI.
  static Result<std::shared_ptr<const NativeLibrary>> Open(const std::string& path);

  NativeLibrary(const NativeLibrary&) = delete;
  NativeLibrary& operator=(const NativeLibrary&) = delete;
  ~NativeLibrary();

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] const std::vector<const LemanUdf*>& udfs() const { return udfs_; }
  /// kInvalidArgument with the names that there are, where there is no such function.
  [[nodiscard]] Result<const LemanUdf*> Find(const std::string& name) const;
  /// `parameters`: a JSON object as text.
  [[nodiscard]] Result<NativeUdfDescription> Describe(const LemanUdf& udf, const std::string& parameters) const;

 private:
  NativeLibrary(std::string path, void* handle) : path_(std::move(path)), handle_(handle) {}
  Status Read();

  std::string path_;
  void* handle_;
  std::vector<const LemanUdf*> udfs_;
};

}  // namespace leman
