// Built-in functions on bytes: files and images.
#include <leman/udf.h>

#include <string>
#include <tuple>

#include "image_header.h"
#include "sha256_digits.h"

LEMAN_UDF(sha256, [](leman::udf::Bytes data) {
  return leman::udf::Written{leman::builtin::kSha256Digits, [data](char* out) -> size_t {
                               leman::builtin::WriteSha256(data.data, out);
                               return leman::builtin::kSha256Digits;
                             }};
});
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
