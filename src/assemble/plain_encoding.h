// How pages of values that need no encoder are described. Layouts: docs/formats/plain_page.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace leman {

/// A type whose values can be written as they are.
struct PlainType {
  int64_t offset_bytes = 0;  ///< Binary or text: 4 or 8. 0: a fixed-size list of numbers.
  int64_t list_size = 0;
  int64_t item_bits = 0;

  [[nodiscard]] bool variable() const { return offset_bytes > 0; }
  /// Of a fixed-size list.
  [[nodiscard]] int64_t value_bytes() const { return list_size * item_bits / 8; }
};

/// What ColumnPage says of a plain page of version 2.0; `null_adjustment` is of variable types.
std::string PlainEncoding20(const PlainType& type, uint64_t null_adjustment);
/// The same from version 2.1 on.
std::string PlainEncoding21(const PlainType& type, int64_t rows, bool nulls);

/// Encoding → DirectEncoding → Any of type `url`.
std::string DirectEncoding(std::string_view url, std::string_view content);
/// A message that has `content` as its only field.
std::string WireMessage(uint32_t number, std::string_view content);

inline constexpr std::string_view kArrayEncodingUrl = "/lance.encodings.ArrayEncoding";
inline constexpr std::string_view kColumnEncodingUrl = "/lance.encodings.ColumnEncoding";
inline constexpr std::string_view kPageLayoutUrl = "/lance.encodings21.PageLayout";

// encodings_v2_0.proto, ArrayEncoding.

/// Numbers of `bits` in a buffer of the page.
std::string FlatArray20(uint64_t bits, uint64_t buffer);
/// Nullable(NoNull(`array`)).
std::string WithoutNulls20(std::string_view array);

}  // namespace leman
