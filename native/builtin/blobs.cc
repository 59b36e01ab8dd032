// Built-in functions on bytes: files and images.
#include <leman/udf.h>

#include <algorithm>
#include <array>
#include <string>
#include <tuple>

#include "image_header.h"
#include "sha256_digits.h"
#include "sha256_pairs.h"

namespace leman::builtin {
namespace {

class Sha256 {
 public:
  static void CheckParameters(std::string_view json) { udf::TakesNoParameters(json); }
  explicit Sha256(std::string_view) {}

  auto operator()(udf::Bytes data) const {
    return udf::Written{kSha256Digits, [data](char* out) -> size_t {
                          WriteSha256(data.data, out);
                          return kSha256Digits;
                        }};
  }
  template <typename Digits>
  bool All(const udf::Column<udf::Bytes>& data, Digits& digits) const {
    char* out = digits.Reserve(static_cast<size_t>(data.size()) * kSha256Digits);
    std::array<std::string_view, 256> texts;
    for (int64_t row = 0; row < data.size();) {
      const auto count = std::min(texts.size(), static_cast<size_t>(data.size() - row));
      for (size_t i = 0; i < count; ++i) texts[i] = data[row++].data;
      WriteSha256All(texts.data(), count, out);
      out += count * kSha256Digits;
    }
    digits.SetSizes(kSha256Digits);
    return true;
  }
};

}  // namespace
}  // namespace leman::builtin

LEMAN_UDF_CLASS(sha256, leman::builtin::Sha256, data);
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
