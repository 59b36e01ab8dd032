#include "place/plain_pages.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <utility>

#include "base/crc32c.h"
#include "model/arrow_layout.h"

namespace leman {
namespace {

int64_t NullsIn(const ArrowArray& values, int64_t offset, int64_t length) {
  if (values.null_count == 0 || values.buffers[0] == nullptr) return 0;
  int64_t nulls = 0;
  for (int64_t i = offset; i < offset + length; ++i) nulls += BitAt(values.buffers[0], i) ? 0 : 1;
  return nulls;
}

int64_t OffsetAt(const PlainType& type, const ArrowArray& values, int64_t index) {
  const auto* offsets = static_cast<const char*>(values.buffers[1]);
  if (type.offset_bytes == 8) {
    int64_t offset = 0;
    std::memcpy(&offset, offsets + index * 8, sizeof offset);
    return offset;
  }
  int32_t offset = 0;
  std::memcpy(&offset, offsets + index * 4, sizeof offset);
  return offset;
}

template <typename Integer>
void Append(Integer value, std::string& out) {
  std::array<char, sizeof(Integer)> bytes{};
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(static_cast<uint64_t>(value) >> (8 * i));
  out.append(bytes.data(), bytes.size());
}

/// Puts a page's buffers one after the other, on Lance's grid.
class PageBuilder {
 public:
  explicit PageBuilder(PlainPage& page) : page_(page) {}

  void Add(std::string_view bytes) {
    if (bytes.empty()) return;
    page_.bytes.push_back(bytes);
    page_.size_bytes += static_cast<int64_t>(bytes.size());
  }
  void EndBuffer() {
    page_.buffers.push_back({begin_, static_cast<uint64_t>(page_.size_bytes) - begin_});
    static constexpr std::array<char, kBufferAlignment> kZeros{};
    const uint64_t over = static_cast<uint64_t>(page_.size_bytes) % kBufferAlignment;
    if (over > 0) Add({kZeros.data(), kBufferAlignment - over});
    begin_ = static_cast<uint64_t>(page_.size_bytes);
  }

 private:
  PlainPage& page_;
  uint64_t begin_ = 0;
};

void AddLists(const PlainType& type, std::span<const ArrowArray* const> arrays, PageBuilder& builder) {
  for (const ArrowArray* array : arrays) {
    const ArrowArray& items = *array->children[0];
    const int64_t first = items.offset + array->offset * type.list_size;
    const auto* data = static_cast<const char*>(items.buffers[1]) + first * type.item_bits / 8;
    builder.Add({data, static_cast<size_t>(array->length * type.value_bytes())});
  }
  builder.EndBuffer();
}

/// Each value: a byte that says null (only in a page with nulls), its length, its bytes.
void AddZipped(const PlainType& type, std::span<const ArrowArray* const> arrays, bool nulls, PlainPage& page,
               PageBuilder& builder) {
  std::string& heads = page.own.emplace_back();
  heads.reserve(static_cast<size_t>(page.rows * (type.offset_bytes + 1)));  // It must not move from here on.
  std::vector<int64_t> starts = {0};
  for (const ArrowArray* array : arrays) {
    for (int64_t row = 0; row < array->length; ++row) {
      const bool null = IsNullAt(*array, row);
      const size_t head = heads.size();
      if (nulls) heads.push_back(null ? '\1' : '\0');
      const std::string_view value = null ? std::string_view() : ValueAt(type, *array, row);
      if (!null && type.offset_bytes == 8) Append<uint64_t>(value.size(), heads);
      if (!null && type.offset_bytes == 4) Append<uint32_t>(static_cast<uint32_t>(value.size()), heads);
      builder.Add(std::string_view(heads).substr(head));
      builder.Add(value);
      starts.push_back(page.size_bytes);
    }
  }
  builder.EndBuffer();
  std::string& index = page.own.emplace_back();
  const bool wide = starts.back() > int64_t{std::numeric_limits<uint32_t>::max()};
  for (const int64_t start : starts) {
    wide ? Append<uint64_t>(static_cast<uint64_t>(start), index)
         : Append<uint32_t>(static_cast<uint32_t>(start), index);
  }
  builder.Add(index);
  builder.EndBuffer();
}

/// Version 2.0: where each value ends, then the bytes. Returns what is added to the end of a null.
uint64_t AddEndsAndBytes(const PlainType& type, std::span<const ArrowArray* const> arrays, PlainPage& page,
                         PageBuilder& builder) {
  uint64_t total = 0;
  for (const ArrowArray* array : arrays) {
    for (int64_t row = 0; row < array->length; ++row) {
      if (!IsNullAt(*array, row)) total += ValueAt(type, *array, row).size();
    }
  }
  const uint64_t null_adjustment = total + 1;
  std::string& ends = page.own.emplace_back();
  uint64_t end = 0;
  for (const ArrowArray* array : arrays) {
    for (int64_t row = 0; row < array->length; ++row) {
      const bool null = IsNullAt(*array, row);
      if (!null) end += ValueAt(type, *array, row).size();
      Append<uint64_t>(null ? end + null_adjustment : end, ends);
    }
  }
  builder.Add(ends);
  builder.EndBuffer();
  for (const ArrowArray* array : arrays) {
    for (int64_t row = 0; row < array->length; ++row) {
      if (!IsNullAt(*array, row)) builder.Add(ValueAt(type, *array, row));
    }
  }
  builder.EndBuffer();
  return null_adjustment;
}

}  // namespace

std::optional<PlainType> PlainTypeOf(const ArrowSchema& schema) {
  const std::string_view format = schema.format;
  if (schema.dictionary != nullptr) return std::nullopt;
  if (format == "z" || format == "u") return PlainType{.offset_bytes = 4};
  if (format == "Z" || format == "U") return PlainType{.offset_bytes = 8};
  if (!format.starts_with("+w:") || schema.n_children != 1 || schema.children[0]->dictionary != nullptr) {
    return std::nullopt;
  }
  // Numbers only: their formats are one letter, and booleans take a bit.
  const std::string_view item = schema.children[0]->format;
  const int64_t bits = item.size() == 1 ? FixedBits(item) : 0;
  const int64_t list_size = std::strtoll(schema.format + 3, nullptr, 10);
  // Lance packs smaller values in blocks, which readers of many rows like better.
  constexpr int64_t kSmallestValueBytes = 256;
  if (bits < 8 || list_size * bits / 8 < kSmallestValueBytes) return std::nullopt;
  return PlainType{.list_size = list_size, .item_bits = bits};
}

bool IsNullAt(const ArrowArray& values, int64_t row) { return !IsValidAt(values, row); }

std::string_view ValueAt(const PlainType& type, const ArrowArray& values, int64_t row) {
  const int64_t begin = OffsetAt(type, values, values.offset + row);
  const int64_t end = OffsetAt(type, values, values.offset + row + 1);
  return {static_cast<const char*>(values.buffers[2]) + begin, static_cast<size_t>(end - begin)};
}

int64_t CountNulls(const PlainType& type, const ArrowArray& values) {
  const int64_t own = NullsIn(values, values.offset, values.length);
  if (type.variable()) return own;
  const ArrowArray& items = *values.children[0];
  return own + NullsIn(items, items.offset + values.offset * type.list_size, values.length * type.list_size);
}

PlainPage MakePlainPage(const PlainType& type, LanceVersion version, std::span<const ArrowArray* const> arrays) {
  PlainPage page;
  int64_t nulls = 0;
  for (const ArrowArray* array : arrays) {
    page.rows += array->length;
    if (type.variable()) nulls += CountNulls(type, *array);
  }
  PageBuilder builder(page);
  uint64_t null_adjustment = 0;
  if (!type.variable()) {
    AddLists(type, arrays, builder);
  } else if (version == LanceVersion::k2_0) {
    null_adjustment = AddEndsAndBytes(type, arrays, page, builder);
  } else {
    AddZipped(type, arrays, nulls > 0, page, builder);
  }
  page.encoding = version == LanceVersion::k2_0 ? PlainEncoding20(type, null_adjustment)
                                                : PlainEncoding21(type, page.rows, nulls > 0);
  return page;
}

PlainCopy PlainCopy::Of(const PlainType& type, const ArrowArray& values) {
  PlainCopy copy;
  Parts& parts = *copy.parts_;
  parts.array.length = values.length;
  if (!type.variable()) {
    const ArrowArray& items = *values.children[0];
    const auto* data = static_cast<const char*>(items.buffers[1]);
    const int64_t first = items.offset + values.offset * type.list_size;
    parts.data.assign(data + first * type.item_bits / 8, static_cast<size_t>(values.length * type.value_bytes()));
    parts.items.length = values.length * type.list_size;
    parts.buffers = {nullptr, parts.data.data(), nullptr};
    parts.items.buffers = parts.buffers.data();
    parts.children = {&parts.items};
    parts.array.children = parts.children.data();
    return copy;
  }
  parts.validity.assign(static_cast<size_t>(values.length + 7) / 8, '\0');
  const auto append_end = [&] {
    type.offset_bytes == 8 ? Append<uint64_t>(parts.data.size(), parts.offsets)
                           : Append<uint32_t>(static_cast<uint32_t>(parts.data.size()), parts.offsets);
  };
  append_end();
  for (int64_t row = 0; row < values.length; ++row) {
    if (IsNullAt(values, row)) {
      ++parts.array.null_count;
    } else {
      parts.validity[static_cast<size_t>(row / 8)] |= static_cast<char>(1 << (row % 8));
      parts.data += ValueAt(type, values, row);
    }
    append_end();
  }
  parts.buffers = {parts.validity.data(), parts.offsets.data(), parts.data.data()};
  parts.array.buffers = parts.buffers.data();
  return copy;
}

uint32_t PlainPage::ChecksumAfter(uint32_t crc) const {
  uint64_t at = 0;
  auto buffer = buffers.begin();
  for (std::string_view part : bytes) {
    while (!part.empty() && buffer != buffers.end()) {
      // A part lies in one buffer, or is the gap after it.
      if (at >= buffer->offset + buffer->size) {
        const uint64_t next = ++buffer == buffers.end() ? at + part.size() : buffer->offset;
        const uint64_t gap = std::min<uint64_t>(next > at ? next - at : 0, part.size());
        part.remove_prefix(gap);
        at += gap;
        continue;
      }
      const uint64_t inside = std::min<uint64_t>(buffer->offset + buffer->size - at, part.size());
      crc = Crc32c(part.data(), inside, crc);
      part.remove_prefix(inside);
      at += inside;
    }
    at += part.size();
  }
  return crc;
}

bool LooksCompressible(std::string_view sample) {
  // As LZ4: a greedy search for earlier occurrences of 4 bytes, which is all the gain that it can have.
  constexpr int kHashBits = 13;
  constexpr size_t kWord = 4;
  constexpr size_t kWorthPercent = 3;
  std::array<uint32_t, size_t{1} << kHashBits> last{};
  size_t matched = 0;
  for (size_t at = 0; at + kWord <= sample.size();) {
    uint32_t word = 0;
    std::memcpy(&word, sample.data() + at, kWord);
    uint32_t& slot = last[(word * 2654435761U) >> (32 - kHashBits)];
    const size_t earlier = slot;  // One more than its position; 0: none.
    slot = static_cast<uint32_t>(at + 1);
    size_t length = 0;
    while (earlier > 0 && at + length < sample.size() && sample[earlier - 1 + length] == sample[at + length]) ++length;
    matched += length > kWord ? length - kWord : 0;
    at += std::max<size_t>(length, 1);
  }
  return matched * 100 > sample.size() * kWorthPercent;
}

}  // namespace leman
