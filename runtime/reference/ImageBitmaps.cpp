//===- ImageBitmaps.cpp - BMP and PNM files to pixels ---------------------===//
#include "runtime/reference/ImageCodecs.h"

#include "quern/CheckedSize.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

using namespace quern;
using namespace quern::reference;

//===----------------------------------------------------------------------===//
// BMP: what is not compressed
//===----------------------------------------------------------------------===//

namespace {
/// What the headers say, in bytes from the start of the file.
struct BmpHeader {
  uint32_t pixels, headerBytes;
  int32_t width, height;
  uint16_t bits;
  uint32_t compression, colors;
};
} // namespace

static uint32_t readLittle(ImageBytes file, size_t at, int bytes) {
  uint32_t value = 0;
  for (int i = 0; i < bytes; ++i)
    value |= uint32_t{file[at + static_cast<size_t>(i)]} << (8 * i);
  return value;
}

static Expected<BmpHeader> readBmpHeader(ImageBytes file) {
  constexpr size_t kHeaders = 54;
  if (file.size() < kHeaders)
    return invalidInput("the BMP image is broken: its header is cut off");
  BmpHeader header{readLittle(file, 10, 4),
                   readLittle(file, 14, 4),
                   static_cast<int32_t>(readLittle(file, 18, 4)),
                   static_cast<int32_t>(readLittle(file, 22, 4)),
                   static_cast<uint16_t>(readLittle(file, 28, 2)),
                   readLittle(file, 30, 4),
                   readLittle(file, 46, 4)};
  bool isKnown = header.headerBytes >= 40 &&
                 (header.bits == 8 || header.bits == 24 || header.bits == 32) &&
                 (header.compression == 0 || (header.compression == 3 && header.bits == 32));
  if (!isKnown)
    return unsupported(
        fmt::format("a BMP image of {} bits, compression {}", header.bits, header.compression));
  if (header.width <= 0 || header.height == 0 || header.height == INT32_MIN)
    return invalidInput(
        fmt::format("the BMP image is broken: {}x{} pixels", header.width, header.height));
  return header;
}

Status reference::decodeBmp(ImageBytes file, const AllocatePixels &allocate) {
  QUERN_ASSIGN(BmpHeader header, readBmpHeader(file));
  int64_t width = header.width, height = std::abs(int64_t{header.height});
  int64_t stride = (width * header.bits + 31) / 32 * 4;
  CheckedSize end = CheckedSize(stride) * CheckedSize(height) + CheckedSize(int64_t{header.pixels});
  int64_t palette = 14 + int64_t{header.headerBytes};
  int64_t colors = header.bits != 8 ? 0 : header.colors == 0 ? 256 : header.colors;
  if (!end.valid() || end.value() > static_cast<int64_t>(file.size()) || colors > 256 ||
      palette + 4 * colors > static_cast<int64_t>(file.size()))
    return invalidInput("the BMP image is broken: its pixels are cut off");
  QUERN_ASSIGN(uint8_t *pixels, allocate(width, height));
  for (int64_t y = 0; y < height; ++y) {
    // Rows go up, unless the height is negative.
    int64_t row = header.height > 0 ? height - 1 - y : y;
    for (int64_t x = 0; x < width; ++x) {
      int64_t at = header.pixels + row * stride + x * (header.bits / 8);
      if (header.bits == 8) {
        int64_t color = file[static_cast<size_t>(at)];
        if (color >= colors)
          return invalidInput("the BMP image is broken: a color that is not in its palette");
        at = palette + 4 * color;
      }
      for (int64_t channel = 0; channel < 3; ++channel)
        *pixels++ = file[static_cast<size_t>(at + 2 - channel)];
    }
  }
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// PNM: binary gray and color maps
//===----------------------------------------------------------------------===//

/// The next number of the header; -1 when there is none.
static int64_t readPnmNumber(ImageBytes file, size_t &at) {
  while (at < file.size() && (std::isspace(file[at]) || file[at] == '#')) {
    if (file[at] == '#')
      while (at < file.size() && file[at] != '\n')
        ++at;
    else
      ++at;
  }
  int64_t number = -1;
  for (; at < file.size() && std::isdigit(file[at]); ++at)
    number = std::min<int64_t>(std::max<int64_t>(number, 0) * 10 + (file[at] - '0'), 1 << 28);
  return number;
}

Status reference::decodePnm(ImageBytes file, const AllocatePixels &allocate) {
  size_t at = 2;
  int64_t width = readPnmNumber(file, at), height = readPnmNumber(file, at),
          most = readPnmNumber(file, at);
  ++at; // one white space
  if (width <= 0 || height <= 0 || most <= 0)
    return invalidInput("the PNM image is broken: its header is not complete");
  if (most != 255)
    return unsupported(fmt::format("a PNM image with values up to {}", most));
  int64_t channels = file[1] == '6' ? 3 : 1;
  CheckedSize bytes = CheckedSize(width) * CheckedSize(height) * CheckedSize(channels);
  if (!bytes.valid() || at > file.size() || bytes.value() > static_cast<int64_t>(file.size() - at))
    return invalidInput("the PNM image is broken: its pixels are cut off");
  QUERN_ASSIGN(uint8_t *pixels, allocate(width, height));
  const uint8_t *from = file.data() + at;
  for (int64_t i = 0; i < width * height; ++i)
    for (int64_t channel = 0; channel < 3; ++channel)
      *pixels++ = from[i * channels + (channels == 3 ? channel : 0)];
  return Status::ok();
}
