#include "udf/native_library.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cstddef>
#include <utility>

#include "udf/array_check.h"
#include "udf/native_error.h"

namespace leman {
namespace {

constexpr uint32_t kMostUdfs = 10'000;

std::string LoaderError() {
  const char* text = ::dlerror();
  return text == nullptr ? "unknown error" : text;
}

Status CheckUdf(const std::string& path, const LemanUdf* udf, uint32_t index) {
  const auto broken = [&](const char* what) {
    return MakeError(ErrorKind::kInvalidArgument, path, ": function ", index, " ", what,
                     "; build the library again with this version's leman/udf.h");
  };
  if (udf == nullptr) return broken("is missing");
  if (udf->size_bytes < offsetof(LemanUdf, apply_watched)) return broken("is described by too small a struct");
  if (udf->name == nullptr || udf->name[0] == '\0') return broken("has no name");
  if (udf->describe == nullptr || udf->init == nullptr || udf->apply == nullptr || udf->free == nullptr) {
    return broken("lacks one of describe, init, apply and free");
  }
  return Ok();
}

}  // namespace

Result<std::shared_ptr<const NativeLibrary>> NativeLibrary::Open(const std::string& path) {
  if (::access(path.c_str(), R_OK) != 0) {
    return MakeError(ErrorKind::kNotFound, "library ", path,
                     " cannot be read; give the path of a shared library (.so)");
  }
  // RTLD_NOW: a symbol that is missing is found here, not in the middle of a job. RTLD_NODELETE: arrays that it made
  // are released by its code, whenever their last owner lets go of them.
  void* handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (handle == nullptr) {
    return MakeError(ErrorKind::kInvalidArgument, "library ", path, " cannot be loaded: ", LoaderError(),
                     "; 'leman udf new FOLDER' writes a project that builds one");
  }
  auto library = std::shared_ptr<NativeLibrary>(new NativeLibrary(path, handle));
  LEMAN_RETURN_IF_ERROR(library->Read());
  return std::shared_ptr<const NativeLibrary>(std::move(library));
}

NativeLibrary::~NativeLibrary() { ::dlclose(handle_); }

Status NativeLibrary::Read() {
  const auto entry = reinterpret_cast<LemanUdfEntry>(::dlsym(handle_, LEMAN_UDF_ENTRY));
  if (entry == nullptr) {
    return MakeError(ErrorKind::kInvalidArgument, path_, " is no library of Leman UDFs: it has no symbol ",
                     LEMAN_UDF_ENTRY, " (include leman/udf.h and write LEMAN_UDF)");
  }
  const LemanUdfLibrary* offered = entry();
  if (offered == nullptr) return MakeError(ErrorKind::kInvalidArgument, path_, " offers nothing");
  if (offered->abi_version != LEMAN_UDF_ABI_VERSION) {
    return MakeError(ErrorKind::kUnsupported, path_, " was built for version ", offered->abi_version,
                     " of the UDF ABI, this is version ", LEMAN_UDF_ABI_VERSION,
                     "; build it again with this leman/udf.h");
  }
  if (offered->udf_count > kMostUdfs || (offered->udf_count > 0 && offered->udfs == nullptr)) {
    return MakeError(ErrorKind::kInvalidArgument, path_, " says that it has ", offered->udf_count, " functions");
  }
  for (uint32_t i = 0; i < offered->udf_count; ++i) {
    LEMAN_RETURN_IF_ERROR(CheckUdf(path_, offered->udfs[i], i));
    udfs_.push_back(offered->udfs[i]);
  }
  return Ok();
}

Result<const LemanUdf*> NativeLibrary::Find(const std::string& name) const {
  std::string names;
  for (const LemanUdf* udf : udfs_) {
    if (udf->name == name) return udf;
    names += names.empty() ? "" : ", ";
    names += udf->name;
  }
  return MakeError(ErrorKind::kInvalidArgument, path_, " has no function '", name,
                   "'; it has: ", names.empty() ? "none" : names);
}

Result<NativeUdfDescription> NativeLibrary::Describe(const LemanUdf& udf, const std::string& parameters) const {
  NativeUdfDescription description;
  description.name = udf.name;
  description.version = udf.version == nullptr ? "" : udf.version;
  description.summary = udf.summary == nullptr ? "" : udf.summary;
  LemanUdfError error{-1, {}};
  const int code = udf.describe(parameters.c_str(), description.inputs.Out(), description.output.Out(), &error);
  if (code != LEMAN_UDF_OK) return NativeError(description.name, code, error);
  LEMAN_RETURN_IF_ERROR(CheckSchema(description.name, description.inputs));
  LEMAN_RETURN_IF_ERROR(CheckSchema(description.name, description.output));
  if (std::string(description.inputs->format) != "+s" || description.inputs->n_children == 0) {
    return MakeError(ErrorKind::kInvalidArgument, "function ", description.name, " describes its inputs as '",
                     description.inputs->format, "'; expected a struct of its arguments");
  }
  return description;
}

}  // namespace leman
