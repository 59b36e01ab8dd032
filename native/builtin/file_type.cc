// Built-in function: the type of a file by libmagic's database, which is the system's.
#include <leman/udf.h>
#include <magic.h>

#include <memory>
#include <string>

#include "parameters.h"

namespace leman::builtin {
namespace {

class FileType {
 public:
  static void CheckParameters(std::string_view json) { Parameters{json, {}}; }
  explicit FileType(std::string_view json) : magic_(::magic_open(MAGIC_MIME_TYPE | MAGIC_ERROR), &::magic_close) {
    CheckParameters(json);
    if (magic_ == nullptr) throw std::bad_alloc();
    if (::magic_load(magic_.get(), nullptr) != 0) {
      throw udf::InvalidArgument(std::string("libmagic has no database here: ") + ::magic_error(magic_.get()) +
                                 "; install the package libmagic-mgc");
    }
  }

  std::string operator()(udf::Bytes data) const {
    const char* type = ::magic_buffer(magic_.get(), data.data.data(), data.data.size());
    if (type == nullptr) throw std::runtime_error(::magic_error(magic_.get()));
    return type;
  }

 private:
  std::unique_ptr<magic_set, decltype(&::magic_close)> magic_;
};

}  // namespace
}  // namespace leman::builtin

LEMAN_UDF_CLASS(file_type, leman::builtin::FileType, data);
