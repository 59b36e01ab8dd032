#include "assemble/plain_encoding.h"

#include <array>
#include <utility>

#include "assemble/proto_wire.h"

namespace leman {

std::string WireMessage(uint32_t number, std::string_view content) {
  WireWriter out;
  out.Bytes(number, content);
  return std::move(out).Take();
}

std::string DirectEncoding(std::string_view url, std::string_view content) {
  WireWriter any;
  any.Bytes(1, url);
  any.Bytes(2, content);
  return WireMessage(2, WireMessage(1, std::move(any).Take()));
}

std::string FlatArray20(uint64_t bits, uint64_t buffer) {
  WireWriter reference;
  reference.Uint64(1, buffer);
  WireWriter flat;
  flat.Uint64(1, bits);
  flat.Bytes(2, std::move(reference).Take());
  return WireMessage(1, std::move(flat).Take());
}

std::string WithoutNulls20(std::string_view array) { return WireMessage(2, WireMessage(1, WireMessage(1, array))); }

std::string PlainEncoding20(const PlainType& type, uint64_t null_adjustment) {
  constexpr uint64_t kOffsetBits = 64;
  WireWriter content;
  if (!type.variable()) {
    content.Uint64(1, static_cast<uint64_t>(type.list_size));
    content.Bytes(2, WithoutNulls20(FlatArray20(static_cast<uint64_t>(type.item_bits), 0)));
    return DirectEncoding(kArrayEncodingUrl, WithoutNulls20(WireMessage(3, std::move(content).Take())));
  }
  content.Bytes(1, WithoutNulls20(FlatArray20(kOffsetBits, 0)));
  content.Bytes(2, FlatArray20(8, 1));
  content.Uint64(3, null_adjustment);
  return DirectEncoding(kArrayEncodingUrl, WireMessage(6, std::move(content).Take()));
}

// encodings_v2_1.proto: PageLayout with a FullZipLayout.
std::string PlainEncoding21(const PlainType& type, int64_t rows, bool nulls) {
  constexpr uint64_t kAllValid = 1;
  constexpr uint64_t kNullable = 3;
  WireWriter flat;
  flat.Uint64(1, static_cast<uint64_t>(type.variable() ? type.offset_bytes * 8 : type.item_bits));
  const std::string flat_values = WireMessage(1, std::move(flat).Take());
  WireWriter layout;
  if (nulls) layout.Uint64(2, 1);
  if (type.variable()) {
    layout.Uint64(4, static_cast<uint64_t>(type.offset_bytes * 8));
  } else {
    layout.Uint64(3, static_cast<uint64_t>(type.value_bytes() * 8));
  }
  layout.Uint64(5, static_cast<uint64_t>(rows));
  layout.Uint64(6, static_cast<uint64_t>(rows));
  if (type.variable()) {
    layout.Bytes(7, WireMessage(2, WireMessage(1, flat_values)));
  } else {
    WireWriter list;
    list.Uint64(1, static_cast<uint64_t>(type.list_size));
    list.Bytes(2, flat_values);
    layout.Bytes(7, WireMessage(11, std::move(list).Take()));
  }
  const std::array<uint64_t, 1> layers = {nulls ? kNullable : kAllValid};
  layout.PackedUint64s(8, layers);
  return DirectEncoding(kPageLayoutUrl, WireMessage(3, std::move(layout).Take()));
}

}  // namespace leman
