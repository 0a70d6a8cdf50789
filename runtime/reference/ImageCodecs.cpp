//===- ImageCodecs.cpp - image files to pixels ----------------------------===//
#include "runtime/reference/ImageCodecs.h"

#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <string_view>

#include <jpeglib.h>
// After it:
#include <jerror.h>
#include <png.h>
#include <webp/decode.h>

using namespace quern;
using namespace quern::reference;

//===----------------------------------------------------------------------===//
// PNG
//===----------------------------------------------------------------------===//

static Status decodePng(ImageBytes file, const AllocatePixels &allocate) {
  png_image image = {};
  image.version = PNG_IMAGE_VERSION;
  auto fail = [&] {
    std::string message = image.message;
    png_image_free(&image);
    return invalidInput("the PNG image is broken: " + message);
  };
  if (!png_image_begin_read_from_memory(&image, file.data(), file.size()))
    return fail();
  image.format = PNG_FORMAT_RGB;
  auto pixels = allocate(image.width, image.height);
  if (!pixels) {
    png_image_free(&image);
    return pixels.status();
  }
  // What is transparent lies on the zeros that are there.
  if (!png_image_finish_read(&image, nullptr, *pixels, /*row_stride=*/0, nullptr))
    return fail();
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// JPEG
//===----------------------------------------------------------------------===//

namespace {
/// libjpeg ends with an error by a jump back.
struct JpegErrors {
  jpeg_error_mgr base;
  std::jmp_buf back;
  char message[JMSG_LENGTH_MAX];
};

/// A coefficient buffer of progressive images may be this large before libjpeg refuses.
constexpr long kMaxJpegMemory = 1L << 30;
} // namespace

static void onJpegError(j_common_ptr info) {
  auto *errors = reinterpret_cast<JpegErrors *>(info->err);
  info->err->format_message(info, errors->message);
  std::longjmp(errors->back, 1);
}

/// What is damaged within is shown as it can be, as other decoders do; what is not there is no
/// picture.
static void onJpegWarning(j_common_ptr info, int level) {
  if (level < 0 && info->err->msg_code == JWRN_JPEG_EOF)
    onJpegError(info);
}

/// Reads the header; false with a message in `errors`. No object here has a destructor:
/// the jump would leave it out.
static bool startJpeg(jpeg_decompress_struct &info, JpegErrors &errors, ImageBytes file) {
  if (setjmp(errors.back))
    return false;
  jpeg_create_decompress(&info);
  info.mem->max_memory_to_use = kMaxJpegMemory;
  jpeg_mem_src(&info, file.data(), file.size());
  jpeg_read_header(&info, TRUE);
  info.out_color_space = JCS_RGB;
  jpeg_calc_output_dimensions(&info);
  return true;
}

static bool readJpeg(jpeg_decompress_struct &info, JpegErrors &errors, uint8_t *pixels) {
  if (setjmp(errors.back))
    return false;
  jpeg_start_decompress(&info);
  while (info.output_scanline < info.output_height) {
    JSAMPROW row = pixels + size_t{info.output_scanline} * info.output_width * 3;
    jpeg_read_scanlines(&info, &row, 1);
  }
  jpeg_finish_decompress(&info);
  return true;
}

static Status decodeJpeg(ImageBytes file, const AllocatePixels &allocate) {
  jpeg_decompress_struct info = {};
  JpegErrors errors = {};
  info.err = jpeg_std_error(&errors.base);
  errors.base.error_exit = onJpegError;
  errors.base.emit_message = onJpegWarning;
  auto finish = [&](Status status) {
    jpeg_destroy_decompress(&info);
    return status;
  };
  auto broken = [&] {
    return invalidInput(std::string("the JPEG image is broken: ") + errors.message);
  };
  if (!startJpeg(info, errors, file))
    return finish(broken());
  auto pixels = allocate(info.output_width, info.output_height);
  if (!pixels)
    return finish(pixels.status());
  return finish(readJpeg(info, errors, *pixels) ? Status::ok() : broken());
}

//===----------------------------------------------------------------------===//
// WebP
//===----------------------------------------------------------------------===//

static Status decodeWebP(ImageBytes file, const AllocatePixels &allocate) {
  int width = 0, height = 0;
  if (!WebPGetInfo(file.data(), file.size(), &width, &height))
    return invalidInput("the WebP image is broken");
  QUERN_ASSIGN(uint8_t *pixels, allocate(width, height));
  size_t bytes = size_t(width) * size_t(height) * 3;
  if (!WebPDecodeRGBInto(file.data(), file.size(), pixels, bytes, width * 3))
    return invalidInput("the WebP image is broken");
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Formats
//===----------------------------------------------------------------------===//

namespace {
struct Format {
  /// What a file has at `offset`.
  std::string_view magic;
  size_t offset;
  Status (*decode)(ImageBytes file, const AllocatePixels &allocate);
};
} // namespace

static constexpr Format kFormats[] = {
    {"\x89PNG\r\n\x1a\n", 0, decodePng},
    {"\xff\xd8\xff", 0, decodeJpeg},
    {"WEBP", 8, decodeWebP},
    {"BM", 0, decodeBmp},
    {"P5", 0, decodePnm},
    {"P6", 0, decodePnm},
    {std::string_view("II*\0", 4), 0, decodeTiff},
    {std::string_view("MM\0*", 4), 0, decodeTiff},
    {"jP  \r\n\x87\n", 4, decodeJpeg2000},
    {"\xff\x4f\xff\x51", 0, decodeJpeg2000},
};

static const Format *formatOf(ImageBytes file) {
  for (const Format &format : kFormats)
    if (file.size() >= format.offset + format.magic.size() &&
        std::memcmp(file.data() + format.offset, format.magic.data(), format.magic.size()) == 0)
      return &format;
  return nullptr;
}

bool reference::isImageFile(ImageBytes head) { return formatOf(head) != nullptr; }

Status reference::decodeImage(ImageBytes file, const AllocatePixels &allocate) {
  const Format *format = formatOf(file);
  return format ? format->decode(file, allocate) : unsupported("an image of unknown format");
}
