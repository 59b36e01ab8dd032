#include "image_header.h"

#include <array>
#include <limits>

namespace leman::builtin {
namespace {

uint32_t ByteAt(std::string_view bytes, size_t at) { return static_cast<uint8_t>(bytes[at]); }
uint32_t Big16(std::string_view bytes, size_t at) { return ByteAt(bytes, at) << 8 | ByteAt(bytes, at + 1); }
uint32_t Big32(std::string_view bytes, size_t at) { return Big16(bytes, at) << 16 | Big16(bytes, at + 2); }
uint32_t Little16(std::string_view bytes, size_t at) { return ByteAt(bytes, at) | ByteAt(bytes, at + 1) << 8; }
uint32_t Little24(std::string_view bytes, size_t at) { return Little16(bytes, at) | ByteAt(bytes, at + 2) << 16; }
uint32_t Little32(std::string_view bytes, size_t at) { return Little16(bytes, at) | Little16(bytes, at + 2) << 16; }

std::optional<ImageHeader> Sized(std::string_view format, uint32_t width, uint32_t height) {
  constexpr uint32_t kMost = std::numeric_limits<int32_t>::max();
  if (width == 0 || height == 0 || width > kMost || height > kMost) return std::nullopt;
  return ImageHeader{format, static_cast<int32_t>(width), static_cast<int32_t>(height)};
}

// PNG (ISO/IEC 15948): the signature, then chunk IHDR.
std::optional<ImageHeader> ReadPng(std::string_view bytes) {
  if (bytes.size() < 24 || bytes.substr(12, 4) != "IHDR") return std::nullopt;
  return Sized("png", Big32(bytes, 16), Big32(bytes, 20));
}

// JPEG (ITU-T T.81): markers with lengths up to a start of frame.
std::optional<ImageHeader> ReadJpeg(std::string_view bytes) {
  size_t at = 2;
  while (at + 4 <= bytes.size()) {
    if (ByteAt(bytes, at) != 0xFF) return std::nullopt;
    const uint32_t marker = ByteAt(bytes, at + 1);
    if (marker == 0xFF) {  // a fill byte
      ++at;
      continue;
    }
    if (marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8)) {  // markers without a length
      at += 2;
      continue;
    }
    if (marker == 0xD9 || marker == 0xDA) return std::nullopt;  // the image's end or data, and no frame before
    const bool is_frame = marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
    if (is_frame) {
      if (at + 9 > bytes.size()) return std::nullopt;
      return Sized("jpeg", Big16(bytes, at + 7), Big16(bytes, at + 5));
    }
    const uint32_t length = Big16(bytes, at + 2);
    if (length < 2) return std::nullopt;
    at += 2 + length;
  }
  return std::nullopt;
}

// WebP (RFC 9649): lossy, lossless and extended.
std::optional<ImageHeader> ReadWebp(std::string_view bytes) {
  if (bytes.size() < 30) return std::nullopt;
  const std::string_view kind = bytes.substr(12, 4);
  if (kind == "VP8 ") {
    if (bytes.substr(23, 3) != "\x9D\x01\x2A") return std::nullopt;
    return Sized("webp", Little16(bytes, 26) & 0x3FFF, Little16(bytes, 28) & 0x3FFF);
  }
  if (kind == "VP8L") {
    if (ByteAt(bytes, 20) != 0x2F) return std::nullopt;
    const uint32_t bits = Little32(bytes, 21);
    return Sized("webp", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1);
  }
  if (kind == "VP8X") return Sized("webp", Little24(bytes, 24) + 1, Little24(bytes, 27) + 1);
  return std::nullopt;
}

// BMP: the size is signed; a negative height means rows from the top.
std::optional<ImageHeader> ReadBmp(std::string_view bytes) {
  if (bytes.size() < 26) return std::nullopt;
  if (Little32(bytes, 14) == 12) return Sized("bmp", Little16(bytes, 18), Little16(bytes, 20));
  const uint32_t height = Little32(bytes, 22);
  return Sized("bmp", Little32(bytes, 18), (height & 0x80000000U) != 0 ? 0U - height : height);
}

struct Signature {
  size_t at;
  std::string_view bytes;
  std::string_view type;
};

using std::string_view_literals::operator""sv;

constexpr std::array kSignatures = {
    Signature{0, "\x89PNG\r\n\x1A\n"sv, "image/png"},
    Signature{0, "\xFF\xD8\xFF"sv, "image/jpeg"},
    Signature{0, "GIF87a"sv, "image/gif"},
    Signature{0, "GIF89a"sv, "image/gif"},
    Signature{8, "WEBP"sv, "image/webp"},
    Signature{0, "II*\0"sv, "image/tiff"},
    Signature{0, "MM\0*"sv, "image/tiff"},
    Signature{4, "ftypavif"sv, "image/avif"},
    Signature{4, "ftypheic"sv, "image/heic"},
    Signature{0, "%PDF-"sv, "application/pdf"},
    Signature{0, "PK\x03\x04"sv, "application/zip"},
    Signature{0, "\x1F\x8B"sv, "application/gzip"},
    Signature{0, "\x28\xB5\x2F\xFD"sv, "application/zstd"},
    Signature{0, "7z\xBC\xAF\x27\x1C"sv, "application/x-7z-compressed"},
    Signature{0, "PAR1"sv, "application/vnd.apache.parquet"},
    Signature{0, "ARROW1"sv, "application/vnd.apache.arrow.file"},
    Signature{0, "SQLite format 3\0"sv, "application/vnd.sqlite3"},
    Signature{0, "OggS"sv, "audio/ogg"},
    Signature{0, "fLaC"sv, "audio/flac"},
    Signature{0, "ID3"sv, "audio/mpeg"},
    Signature{8, "WAVE"sv, "audio/wav"},
    Signature{8, "AVI "sv, "video/x-msvideo"},
    Signature{4, "ftypqt  "sv, "video/quicktime"},
    Signature{4, "ftyp"sv, "video/mp4"},
    Signature{0, "\x1A\x45\xDF\xA3"sv, "video/webm"},
    Signature{0,
              "\x7F"
              "ELF"sv,
              "application/x-elf"},
    Signature{0, "BM"sv, "image/bmp"},
};

}  // namespace

std::string_view MimeTypeOf(std::string_view bytes) {
  for (const Signature& signature : kSignatures) {
    const bool in_riff = signature.at != 8 || bytes.substr(0, 4) == "RIFF";
    if (bytes.size() >= signature.at && in_riff && bytes.substr(signature.at).starts_with(signature.bytes)) {
      return signature.type;
    }
  }
  return {};
}

std::optional<ImageHeader> ReadImageHeader(std::string_view bytes) {
  const std::string_view type = MimeTypeOf(bytes);
  if (type == "image/png") return ReadPng(bytes);
  if (type == "image/jpeg") return ReadJpeg(bytes);
  if (type == "image/webp") return ReadWebp(bytes);
  if (type == "image/bmp") return ReadBmp(bytes);
  if (type == "image/gif" && bytes.size() >= 10) return Sized("gif", Little16(bytes, 6), Little16(bytes, 8));
  return std::nullopt;
}

}  // namespace leman::builtin
