#include "image_decode.h"

#include <jerror.h>
#include <jpeglib.h>
#include <png.h>
#include <webp/decode.h>

#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>

#include "image_header.h"

namespace leman::builtin {
namespace {

// A progressive JPEG may ask for the whole image to be gone over again and again; no encoder needs as many scans.
constexpr int kMostScans = 100;

constexpr uint8_t kWhite = 255;

uint8_t GreyOf(uint32_t red, uint32_t green, uint32_t blue) {  // ITU-R BT.601, as PIL's "L"
  return static_cast<uint8_t>((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16);
}

Pixels PixelsOf(int32_t width, int32_t height, int32_t channels) {
  Pixels pixels{width, height, channels, {}};
  pixels.bytes.resize(static_cast<size_t>(width) * static_cast<size_t>(height) * static_cast<size_t>(channels));
  return pixels;
}

std::invalid_argument Broken(const char* format, const char* why) {
  return std::invalid_argument(std::string("a broken ") + format + ": " + why);
}

// ---- JPEG

struct JpegErrors {
  jpeg_error_mgr manager;
  std::jmp_buf leave;
  char message[JMSG_LENGTH_MAX];
};

[[noreturn]] void LeaveJpeg(j_common_ptr info) {
  auto* errors = reinterpret_cast<JpegErrors*>(info->err);
  info->err->format_message(info, errors->message);
  std::longjmp(errors->leave, 1);
}
// Of all that libjpeg warns of, only a file that ends early has lost pixels for sure.
void OnWarning(j_common_ptr info, int) {
  if (info->err->msg_code == JWRN_JPEG_EOF) LeaveJpeg(info);
}
void CountScans(j_common_ptr info) {
  auto* decoder = reinterpret_cast<j_decompress_ptr>(info);
  if (decoder->input_scan_number <= kMostScans) return;
  auto* errors = reinterpret_cast<JpegErrors*>(info->err);
  std::snprintf(errors->message, sizeof errors->message, "more than %d scans", kMostScans);
  std::longjmp(errors->leave, 1);
}

// Inks of an Adobe JPEG, which are stored inverted, as light.
void FromInks(const uint8_t* inks, int32_t width, int32_t channels, uint8_t* out) {
  for (int32_t x = 0; x < width; ++x, inks += 4, out += channels) {
    const uint32_t black = inks[3];
    const uint32_t light[3] = {inks[0] * black / 255, inks[1] * black / 255, inks[2] * black / 255};
    if (channels == 1) {
      out[0] = GreyOf(light[0], light[1], light[2]);
    } else {
      for (int c = 0; c < 3; ++c) out[c] = static_cast<uint8_t>(light[c]);
    }
  }
}

// The smallest eighth of the size whose sides are long enough.
void ChooseScale(jpeg_decompress_struct* info, int32_t least_side) {
  info->scale_num = 8;
  info->scale_denom = 8;
  if (least_side <= 0) return;
  const unsigned short_side = std::min(info->image_width, info->image_height);
  for (const unsigned eighths : {1U, 2U, 4U}) {
    if (short_side * eighths / 8 >= static_cast<unsigned>(least_side)) {
      info->scale_num = eighths;
      return;
    }
  }
}

// What longjmp may pass over: nothing with a destructor is made while libjpeg's functions run.
class JpegDecoder {
 public:
  JpegDecoder() {
    info_.err = jpeg_std_error(&errors_.manager);
    errors_.manager.error_exit = &LeaveJpeg;
    errors_.manager.emit_message = &OnWarning;
    errors_.message[0] = '\0';
    if (setjmp(errors_.leave) != 0) return;
    jpeg_create_decompress(&info_);
    made_ = true;
    progress_.progress_monitor = &CountScans;
    info_.progress = &progress_;
  }
  ~JpegDecoder() {
    if (made_) jpeg_destroy_decompress(&info_);
  }
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;

  // False where it failed; then message() says why.
  bool Begin(std::string_view bytes, const DecodeRequest& request) {
    if (!made_ || setjmp(errors_.leave) != 0) return false;
    jpeg_mem_src(&info_, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
    jpeg_read_header(&info_, TRUE);
    if (static_cast<int64_t>(info_.image_width) * info_.image_height > request.max_pixels) {
      std::snprintf(errors_.message, sizeof errors_.message, "two sizes");
      return false;
    }
    ChooseScale(&info_, request.least_side);
    inks_ = info_.jpeg_color_space == JCS_CMYK || info_.jpeg_color_space == JCS_YCCK;
    info_.out_color_space = inks_ ? JCS_CMYK : request.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    info_.dct_method = JDCT_ISLOW;
    // Colours as they are mixed cannot be had as grey by libjpeg where the image stores red, green and blue.
    if (info_.jpeg_color_space == JCS_RGB && request.channels == 1) info_.out_color_space = JCS_RGB;
    jpeg_start_decompress(&info_);
    return true;
  }
  // `row`: room for one row of 4 bytes a pixel.
  bool Read(Pixels* pixels, uint8_t* row) {
    if (setjmp(errors_.leave) != 0) return false;
    const auto stride = static_cast<size_t>(pixels->width) * static_cast<size_t>(pixels->channels);
    while (info_.output_scanline < info_.output_height) {
      uint8_t* const out = pixels->bytes.data() + info_.output_scanline * stride;
      const bool is_as_wanted = !inks_ && info_.output_components == pixels->channels;
      JSAMPROW rows[] = {is_as_wanted ? out : row};
      if (jpeg_read_scanlines(&info_, rows, 1) != 1) return false;
      if (!is_as_wanted) Convert(row, *pixels, out);
    }
    return true;
  }
  [[nodiscard]] int32_t width() const { return static_cast<int32_t>(info_.output_width); }
  [[nodiscard]] int32_t height() const { return static_cast<int32_t>(info_.output_height); }
  [[nodiscard]] const char* message() const { return errors_.message[0] == '\0' ? "it ends early" : errors_.message; }

 private:
  void Convert(const uint8_t* row, const Pixels& pixels, uint8_t* out) const {
    if (inks_) {
      FromInks(row, pixels.width, pixels.channels, out);
    } else if (pixels.channels == 1) {
      for (int32_t x = 0; x < pixels.width; ++x) out[x] = GreyOf(row[3 * x], row[3 * x + 1], row[3 * x + 2]);
    }
  }

  jpeg_decompress_struct info_{};
  JpegErrors errors_{};
  jpeg_progress_mgr progress_{};
  bool made_ = false;
  bool inks_ = false;
};

Pixels DecodeJpeg(std::string_view bytes, const DecodeRequest& request) {
  JpegDecoder decoder;
  if (!decoder.Begin(bytes, request)) throw Broken("JPEG", decoder.message());
  Pixels pixels = PixelsOf(decoder.width(), decoder.height(), request.channels);
  std::vector<uint8_t> row(static_cast<size_t>(pixels.width) * 4);
  if (!decoder.Read(&pixels, row.data())) throw Broken("JPEG", decoder.message());
  return pixels;
}

// ---- PNG and WebP

// Red, green, blue and alpha as they lie on white.
Pixels OnWhite(const std::vector<uint8_t>& colours, int32_t width, int32_t height, int32_t channels) {
  Pixels pixels = PixelsOf(width, height, channels);
  uint8_t* out = pixels.bytes.data();
  for (size_t at = 0; at < colours.size(); at += 4, out += channels) {
    const uint32_t alpha = colours[at + 3];
    uint32_t light[3];
    for (size_t c = 0; c < 3; ++c) light[c] = (colours[at + c] * alpha + kWhite * (255 - alpha) + 127) / 255;
    if (channels == 1) {
      *out = GreyOf(light[0], light[1], light[2]);
    } else {
      for (size_t c = 0; c < 3; ++c) out[c] = static_cast<uint8_t>(light[c]);
    }
  }
  return pixels;
}

Pixels DecodePng(std::string_view bytes, const DecodeRequest& request) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  const std::unique_ptr<png_image, decltype(&png_image_free)> owned(&image, &png_image_free);
  if (png_image_begin_read_from_memory(&image, bytes.data(), bytes.size()) == 0) throw Broken("PNG", image.message);
  const auto width = static_cast<int32_t>(image.width);
  const auto height = static_cast<int32_t>(image.height);
  if (static_cast<int64_t>(width) * height > request.max_pixels) throw Broken("PNG", "two sizes");
  const bool opaque = (image.format & PNG_FORMAT_FLAG_ALPHA) == 0;
  if (opaque && request.channels == 3) {
    image.format = PNG_FORMAT_RGB;
    Pixels pixels = PixelsOf(width, height, 3);
    if (png_image_finish_read(&image, nullptr, pixels.bytes.data(), 0, nullptr) == 0)
      throw Broken("PNG", image.message);
    return pixels;
  }
  // libpng would make greys, and put colours on white, in linear light, which other decoders do not.
  image.format = PNG_FORMAT_RGBA;
  std::vector<uint8_t> colours(PNG_IMAGE_SIZE(image));
  if (png_image_finish_read(&image, nullptr, colours.data(), 0, nullptr) == 0) throw Broken("PNG", image.message);
  return OnWhite(colours, width, height, request.channels);
}

Pixels DecodeWebp(std::string_view bytes, const DecodeRequest& request) {
  WebPDecoderConfig config;
  if (WebPInitDecoderConfig(&config) == 0) throw std::runtime_error("libwebp is of another version");
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  if (WebPGetFeatures(data, bytes.size(), &config.input) != VP8_STATUS_OK) throw Broken("WebP", "its header");
  if (config.input.has_animation != 0) throw std::invalid_argument("an animated WebP, which is not decoded");
  const int32_t width = config.input.width;
  const int32_t height = config.input.height;
  if (static_cast<int64_t>(width) * height > request.max_pixels) throw Broken("WebP", "two sizes");
  std::vector<uint8_t> colours(static_cast<size_t>(width) * static_cast<size_t>(height) * 4);
  config.output.colorspace = MODE_RGBA;
  config.output.is_external_memory = 1;
  config.output.u.RGBA = {colours.data(), width * 4, colours.size()};
  if (WebPDecode(data, bytes.size(), &config) != VP8_STATUS_OK) throw Broken("WebP", "its data");
  return OnWhite(colours, width, height, request.channels);
}

}  // namespace

std::optional<Pixels> DecodeImage(std::string_view bytes, const DecodeRequest& request) {
  const std::string_view type = MimeTypeOf(bytes);
  if (type != "image/png" && type != "image/jpeg" && type != "image/webp") return std::nullopt;
  const auto header = ReadImageHeader(bytes);
  if (!header) throw Broken(std::string(type.substr(6)).c_str(), "its header");
  if (static_cast<int64_t>(header->width) * header->height > request.max_pixels) {
    throw std::length_error("an image of " + std::to_string(header->width) + " × " + std::to_string(header->height) +
                            " pixels; max_pixels is " + std::to_string(request.max_pixels));
  }
  if (type == "image/jpeg") return DecodeJpeg(bytes, request);
  if (type == "image/png") return DecodePng(bytes, request);
  return DecodeWebp(bytes, request);
}

}  // namespace leman::builtin
