#include "assemble/page_encoding.h"

#include <algorithm>
#include <array>
#include <string>

#include "assemble/plain_encoding.h"
#include "assemble/proto_wire.h"

namespace leman {
namespace {

constexpr int kMaxDepth = 64;

/// The messages of encodings_v2_0.proto that can describe a page of a 2.0 file.
enum class Message {
  kScalar,  // Not a message: any value.
  kArray,
  kNullable,
  kNoNulls,
  kSomeNulls,
  kEmpty,
  kList,
  kFixedSizeList,
  kFlat,
  kCompression,
  kConstant,
  kBitpacked,
  kBinary,
  kFsst,
  kDictionary,
  kPackedStruct,
  kFixedSizeBinary,
  kBuffer,
};

struct FieldOfMessage {
  Message message;
  uint32_t number;
  Message content;
};

// A field that is not listed makes the page unsupported.
constexpr std::array kFields = {
    FieldOfMessage{Message::kArray, 1, Message::kFlat},
    FieldOfMessage{Message::kArray, 2, Message::kNullable},
    FieldOfMessage{Message::kArray, 3, Message::kFixedSizeList},
    FieldOfMessage{Message::kArray, 4, Message::kList},
    FieldOfMessage{Message::kArray, 5, Message::kEmpty},
    FieldOfMessage{Message::kArray, 6, Message::kBinary},
    FieldOfMessage{Message::kArray, 7, Message::kDictionary},
    FieldOfMessage{Message::kArray, 8, Message::kFsst},
    FieldOfMessage{Message::kArray, 9, Message::kPackedStruct},
    FieldOfMessage{Message::kArray, 10, Message::kBitpacked},
    FieldOfMessage{Message::kArray, 11, Message::kFixedSizeBinary},
    FieldOfMessage{Message::kArray, 12, Message::kBitpacked},
    FieldOfMessage{Message::kArray, 13, Message::kConstant},
    FieldOfMessage{Message::kNullable, 1, Message::kNoNulls},
    FieldOfMessage{Message::kNullable, 2, Message::kSomeNulls},
    FieldOfMessage{Message::kNullable, 3, Message::kEmpty},
    FieldOfMessage{Message::kNoNulls, 1, Message::kArray},
    FieldOfMessage{Message::kSomeNulls, 1, Message::kArray},
    FieldOfMessage{Message::kSomeNulls, 2, Message::kArray},
    FieldOfMessage{Message::kList, 1, Message::kArray},
    FieldOfMessage{Message::kList, 2, Message::kScalar},
    FieldOfMessage{Message::kList, 3, Message::kScalar},
    FieldOfMessage{Message::kFixedSizeList, 1, Message::kScalar},
    FieldOfMessage{Message::kFixedSizeList, 2, Message::kArray},
    FieldOfMessage{Message::kFixedSizeList, 3, Message::kScalar},
    FieldOfMessage{Message::kFlat, 1, Message::kScalar},
    FieldOfMessage{Message::kFlat, 2, Message::kBuffer},
    FieldOfMessage{Message::kFlat, 3, Message::kCompression},
    FieldOfMessage{Message::kCompression, 1, Message::kScalar},
    FieldOfMessage{Message::kCompression, 2, Message::kScalar},
    FieldOfMessage{Message::kConstant, 1, Message::kScalar},
    FieldOfMessage{Message::kBitpacked, 1, Message::kScalar},
    FieldOfMessage{Message::kBitpacked, 2, Message::kScalar},
    FieldOfMessage{Message::kBitpacked, 3, Message::kBuffer},
    FieldOfMessage{Message::kBitpacked, 4, Message::kScalar},
    FieldOfMessage{Message::kBinary, 1, Message::kArray},
    FieldOfMessage{Message::kBinary, 2, Message::kArray},
    FieldOfMessage{Message::kBinary, 3, Message::kScalar},
    FieldOfMessage{Message::kFsst, 1, Message::kArray},
    FieldOfMessage{Message::kFsst, 2, Message::kScalar},
    FieldOfMessage{Message::kDictionary, 1, Message::kArray},
    FieldOfMessage{Message::kDictionary, 2, Message::kArray},
    FieldOfMessage{Message::kDictionary, 3, Message::kScalar},
    FieldOfMessage{Message::kPackedStruct, 1, Message::kArray},
    FieldOfMessage{Message::kPackedStruct, 2, Message::kBuffer},
    FieldOfMessage{Message::kFixedSizeBinary, 1, Message::kArray},
    FieldOfMessage{Message::kFixedSizeBinary, 2, Message::kScalar},
    FieldOfMessage{Message::kBuffer, 1, Message::kScalar},
    FieldOfMessage{Message::kBuffer, 2, Message::kScalar},
};

template <typename... Parts>
Error Unsupported(const Parts&... parts) {
  return MakeError(ErrorKind::kUnsupported, parts...);
}

/// Of Encoding → DirectEncoding → Any: the content, if it is a message of type `url`.
Result<std::string_view> UnwrapEncoding(std::string_view encoding, std::string_view url) {
  constexpr uint32_t kDirect = 2;
  std::string_view direct;
  for (WireReader reader(encoding); !reader.done();) {
    LEMAN_ASSIGN_OR_RETURN(const WireField field, reader.Next());
    if (field.number != kDirect || field.type != WireType::kBytes || direct.data() != nullptr) {
      return Unsupported("an encoding is not described in place");
    }
    direct = field.bytes;
  }
  std::string_view any;
  for (WireReader reader(direct); !reader.done();) {
    LEMAN_ASSIGN_OR_RETURN(const WireField field, reader.Next());
    if (field.number != 1 || field.type != WireType::kBytes) return Unsupported("an encoding has an unknown wrapper");
    any = field.bytes;
  }
  std::string_view found_url;
  std::string_view content;
  SingleFields single;
  for (WireReader reader(any); !reader.done();) {
    LEMAN_ASSIGN_OR_RETURN(const WireField field, reader.Next());
    if (field.number > 2) return Unsupported("an encoding has an unknown wrapper");
    LEMAN_RETURN_IF_ERROR(single.Accept(field, WireType::kBytes));
    (field.number == 1 ? found_url : content) = field.bytes;
  }
  if (found_url != url) return Unsupported("an encoding is a ", found_url, ", not a ", url);
  return content;
}

const FieldOfMessage* FindField(Message message, uint32_t number) {
  const auto found = std::find_if(kFields.begin(), kFields.end(), [&](const FieldOfMessage& field) {
    return field.message == message && field.number == number;
  });
  return found == kFields.end() ? nullptr : &*found;
}

Status CheckBufferReference(const WireField& field, size_t page_buffers) {
  if (field.type != WireType::kVarint) return MakeError(ErrorKind::kCorrupt, "a buffer reference is malformed");
  if (field.number == 2 && field.value != 0) {
    return Unsupported("a page uses a buffer that the whole column or file shares");
  }
  if (field.number == 1 && field.value >= page_buffers) {
    return MakeError(ErrorKind::kCorrupt, "a page refers to buffer ", field.value, " of ", page_buffers);
  }
  return Ok();
}

/// Walks a description of version 2.0.
Status CheckMessage(Message message, std::string_view bytes, size_t page_buffers, int depth) {
  if (depth > kMaxDepth) return Unsupported("an encoding is nested too deeply");
  for (WireReader reader(bytes); !reader.done();) {
    LEMAN_ASSIGN_OR_RETURN(const WireField field, reader.Next());
    const FieldOfMessage* known = FindField(message, field.number);
    if (known == nullptr) return Unsupported("an encoding has a part that this version does not know");
    if (message == Message::kBuffer) LEMAN_RETURN_IF_ERROR(CheckBufferReference(field, page_buffers));
    if (known->content == Message::kScalar) continue;
    if (field.type != WireType::kBytes) return MakeError(ErrorKind::kCorrupt, "an encoding is malformed");
    LEMAN_RETURN_IF_ERROR(CheckMessage(known->content, field.bytes, page_buffers, depth + 1));
  }
  return Ok();
}

Result<PageContent> ContentOfArrayEncoding(std::string_view description, size_t page_buffers) {
  constexpr uint32_t kList = 4;
  constexpr uint32_t kStruct = 5;
  constexpr uint32_t kListItems = 3;
  LEMAN_RETURN_IF_ERROR(CheckMessage(Message::kArray, description, page_buffers, 0));
  PageContent content;
  int alternatives = 0;
  for (WireReader reader(description); !reader.done(); ++alternatives) {
    LEMAN_ASSIGN_OR_RETURN(const WireField field, reader.Next());
    if (field.number == kStruct) content.kind = PageContent::Kind::kStructHeader;
    if (field.number != kList) continue;
    content.kind = PageContent::Kind::kList;
    for (WireReader list(field.bytes); !list.done();) {
      LEMAN_ASSIGN_OR_RETURN(const WireField part, list.Next());
      if (part.number == kListItems) content.items = part.value;
    }
  }
  if (alternatives != 1) return Unsupported("an encoding has ", alternatives, " alternatives");
  return content;
}

Result<PageContent> ContentOfPageLayout(std::string_view description) {
  // Mini-block, constant, full-zip; then come blobs, which hold positions.
  constexpr std::array<uint32_t, 3> kLayersOfLayout = {6, 5, 8};
  PageContent content;
  int alternatives = 0;
  for (WireReader reader(description); !reader.done(); ++alternatives) {
    LEMAN_ASSIGN_OR_RETURN(const WireField field, reader.Next());
    if (field.type != WireType::kBytes) return MakeError(ErrorKind::kCorrupt, "a page layout is malformed");
    if (field.number > kLayersOfLayout.size()) return Unsupported("page layout ", field.number, " can hold positions");
    for (WireReader layout(field.bytes); !layout.done();) {
      LEMAN_ASSIGN_OR_RETURN(const WireField part, layout.Next());
      if (part.number == kLayersOfLayout[field.number - 1]) LEMAN_RETURN_IF_ERROR(AppendUint64s(part, content.layers));
    }
  }
  if (alternatives != 1) return Unsupported("a page has ", alternatives, " layouts");
  return content;
}

}  // namespace

Result<PageContent> ContentOfPage(LanceVersion version, const ColumnPage& page) {
  if (version == LanceVersion::k2_0) {
    LEMAN_ASSIGN_OR_RETURN(const std::string_view description, UnwrapEncoding(page.encoding, kArrayEncodingUrl));
    return ContentOfArrayEncoding(description, page.buffers.size());
  }
  LEMAN_ASSIGN_OR_RETURN(const std::string_view description, UnwrapEncoding(page.encoding, kPageLayoutUrl));
  return ContentOfPageLayout(description);
}

Status CheckColumnEncoding(std::string_view encoding) {
  constexpr uint32_t kValues = 1;
  LEMAN_ASSIGN_OR_RETURN(const std::string_view description, UnwrapEncoding(encoding, kColumnEncodingUrl));
  int alternatives = 0;
  for (WireReader reader(description); !reader.done(); ++alternatives) {
    LEMAN_ASSIGN_OR_RETURN(const WireField field, reader.Next());
    if (field.number != kValues || field.type != WireType::kBytes || !field.bytes.empty()) {
      return Unsupported("a column is not just its pages");
    }
  }
  if (alternatives != 1) return Unsupported("a column has ", alternatives, " encodings");
  return Ok();
}

}  // namespace leman
