//===- ImageCodecs.h - image files to pixels ------------------------------===//
//
// Files are untrusted: their sizes are told to `allocate` before any memory of that size
// is taken, and what is broken is InvalidInput.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "quern/Status.h"

#include <cstdint>
#include <functional>
#include <span>

namespace quern::reference {

/// Gives room for width * height pixels of three bytes, red, green and blue, row by row
/// from the top, filled with zeros.
using AllocatePixels = std::function<Expected<uint8_t *>(int64_t width, int64_t height)>;

using ImageBytes = std::span<const uint8_t>;

/// Luma of a pixel in red, green and blue, as ITU-R 601 weighs it, in 16 bits and rounded.
inline uint8_t lumaOf(const uint8_t *rgb) {
  return static_cast<uint8_t>((rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >> 16);
}

/// Whether a file begins as one of a format that is known.
bool isImageFile(ImageBytes head);

/// Finds out the format and decodes the file: BMP, JPEG, JPEG 2000, PNG, PNM, TIFF, WebP.
/// Unsupported for others, and for variants of these that are not known.
Status decodeImage(ImageBytes file, const AllocatePixels &allocate);

// ImageBitmaps.cpp
Status decodeBmp(ImageBytes file, const AllocatePixels &allocate);
Status decodePnm(ImageBytes file, const AllocatePixels &allocate);
// ImageTiff.cpp
Status decodeTiff(ImageBytes file, const AllocatePixels &allocate);
// ImageJpeg2000.cpp
Status decodeJpeg2000(ImageBytes file, const AllocatePixels &allocate);

} // namespace quern::reference
