#include "udf/native_error.h"

#include <cstring>

#include "base/utf8.h"

namespace leman {

Error NativeError(const std::string& name, int code, const LemanUdfError& error) {
  // It may be cut within a character, and a library may write anything.
  const std::string message = ValidUtf8({error.message, ::strnlen(error.message, sizeof error.message)});
  switch (code) {
    case LEMAN_UDF_ROW_FAILED:
      return MakeError(ErrorKind::kUserFunction, name, "(): ", message);
    case LEMAN_UDF_INVALID:
      return MakeError(ErrorKind::kInvalidArgument, "function ", name, ": ", message);
    case LEMAN_UDF_NO_MEMORY:
      return MakeError(ErrorKind::kResourceExhausted, "no memory for the results of ", name, "()");
    default:
      return MakeError(ErrorKind::kUserFunction, name, "() returned the code ", code,
                       ", which means nothing: ", message);
  }
}

}  // namespace leman
