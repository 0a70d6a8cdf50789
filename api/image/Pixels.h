//===- Pixels.h - images as bytes, resized --------------------------------===//
#pragma once

#include "quern/ImageInput.h"

namespace quern {

/// Pixels of bytes: height x width x channels.
struct Pixels {
  Tensor bytes;
  int64_t height() const { return bytes.dim(0); }
  int64_t width() const { return bytes.dim(1); }
  int64_t channels() const { return bytes.dim(2); }
};

/// Decodes a file to pixels in red, green and blue.
Expected<Pixels> decodePixels(std::span<const std::byte> file, const Limits &limits);

/// One channel, as ITU-R 601 weighs colors.
Expected<Pixels> grayOf(const Pixels &pixels, const Limits &limits);

/// Pixels of that height and width. Resized as Pillow does it: along rows, rounded to bytes, then
/// along columns; where pixels become fewer, each is an average of all that it stands for.
Expected<Pixels> fitPixels(const Pixels &pixels, int64_t height, int64_t width, ImageFit fit,
                           double crop, ImageFilter filter, const Limits &limits);

} // namespace quern
