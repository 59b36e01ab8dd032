// Built-in functions on bytes: files and images.
#include <leman/udf.h>

#include <string>
#include <tuple>

#include "base/sha256.h"
#include "image_header.h"

LEMAN_UDF(sha256, [](leman::udf::Bytes data) -> std::string { return leman::Sha256Hex(data.data); });
LEMAN_UDF(mime_type, [](leman::udf::Bytes data) -> std::optional<std::string_view> {
  const std::string_view type = leman::builtin::MimeTypeOf(data.data);
  if (type.empty()) return std::nullopt;
  return type;
});
LEMAN_UDF(
    image_size,
    [](leman::udf::Bytes image)
        -> std::optional<std::tuple<leman::udf::Field<"format", std::string_view>, leman::udf::Field<"width", int32_t>,
                                    leman::udf::Field<"height", int32_t>>> {
      const auto header = leman::builtin::ReadImageHeader(image.data);
      if (!header) return std::nullopt;
      return std::tuple<leman::udf::Field<"format", std::string_view>, leman::udf::Field<"width", int32_t>,
                        leman::udf::Field<"height", int32_t>>{header->format, header->width, header->height};
    });
