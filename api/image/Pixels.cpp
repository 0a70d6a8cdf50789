//===- Pixels.cpp - images as bytes, resized ------------------------------===//
#include "api/image/Pixels.h"

#include "runtime/reference/ImageCodecs.h"
#include "runtime/reference/ResizeTaps.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

using namespace quern;
using namespace quern::reference;

/// Decoded they are 400 MB.
static constexpr int64_t kMostPixels = int64_t{1} << 27;

Expected<Pixels> quern::decodePixels(std::span<const std::byte> file, const Limits &limits) {
  Pixels pixels;
  auto allocate = [&](int64_t width, int64_t height) -> Expected<uint8_t *> {
    if (width <= 0 || height <= 0)
      return invalidInput("an image without pixels");
    if (width > kMostPixels / height)
      return resourceLimit(fmt::format("an image of {}x{} pixels; more than {} are not decoded",
                                       width, height, kMostPixels));
    QUERN_ASSIGN(pixels.bytes, Tensor::allocate(DType::UInt8, {height, width, 3}, limits));
    return pixels.bytes.mutableData<uint8_t>();
  };
  QUERN_TRY(decodeImage({reinterpret_cast<const uint8_t *>(file.data()), file.size()}, allocate));
  return pixels;
}

Expected<Pixels> quern::grayOf(const Pixels &pixels, const Limits &limits) {
  Pixels gray;
  QUERN_ASSIGN(gray.bytes,
               Tensor::allocate(DType::UInt8, {pixels.height(), pixels.width(), 1}, limits));
  const uint8_t *from = pixels.bytes.data<uint8_t>();
  uint8_t *to = gray.bytes.mutableData<uint8_t>();
  for (int64_t i = 0; i < gray.bytes.numElements(); ++i)
    to[i] = lumaOf(from + 3 * i);
  return gray;
}

//===----------------------------------------------------------------------===//
// One axis
//===----------------------------------------------------------------------===//

namespace {
/// An axis of `input` elements that is resized to `output`, of which those from `begin` are kept.
struct AxisPart {
  int64_t input = 0, output = 0;
  int64_t begin = 0, count = 0;
};

/// What each element that is kept is made of.
using AxisTaps = std::vector<std::vector<ResizeTap>>;
} // namespace

static Expected<AxisTaps> tapsOf(const AxisPart &part, ImageFilter filter) {
  bool isNearest = filter == ImageFilter::Nearest;
  ResizeRule rule{.mode = filter == ImageFilter::Bicubic ? ResizeMode::Cubic : ResizeMode::Linear,
                  .coordinates = ResizeCoordinates::HalfPixel,
                  .cubicCoefficient = -0.5,
                  .excludeOutside = true,
                  .antialias = true};
  if (isNearest)
    rule = {.mode = ResizeMode::Nearest,
            .coordinates = ResizeCoordinates::TfHalfPixelForNn,
            .nearest = NearestMode::Floor};
  ResizeAxis axis{.input = part.input,
                  .output = part.output,
                  .scale = static_cast<double>(part.output) / static_cast<double>(part.input)};
  std::vector<ResizeTap> room;
  if (!isNearest) {
    QUERN_ASSIGN(int64_t most, mostTaps(rule, axis));
    room.resize(static_cast<size_t>(most));
  }
  AxisTaps taps;
  for (int64_t i = part.begin; i < part.begin + part.count; ++i) {
    if (isNearest) {
      taps.push_back({{nearestElement(rule, axis, i), 1}});
      continue;
    }
    ResizeSample sample = sampleAt(rule, axis, i, room);
    taps.emplace_back(sample.taps.begin(), sample.taps.end());
  }
  return taps;
}

/// What is made of elements that lie `step` bytes apart.
static uint8_t sumOf(const std::vector<ResizeTap> &taps, const uint8_t *from, int64_t step) {
  double sum = 0.5;
  for (const ResizeTap &tap : taps)
    sum += tap.weight * from[tap.element * step];
  return static_cast<uint8_t>(std::clamp(std::floor(sum), 0.0, 255.0));
}

static Expected<Pixels> resizeRows(const Pixels &pixels, const AxisPart &part, ImageFilter filter,
                                   const Limits &limits) {
  QUERN_ASSIGN(AxisTaps taps, tapsOf(part, filter));
  int64_t channels = pixels.channels();
  Pixels made;
  QUERN_ASSIGN(made.bytes,
               Tensor::allocate(DType::UInt8, {pixels.height(), part.count, channels}, limits));
  uint8_t *to = made.bytes.mutableData<uint8_t>();
  for (int64_t y = 0; y < pixels.height(); ++y) {
    const uint8_t *row = pixels.bytes.data<uint8_t>() + y * pixels.width() * channels;
    for (const auto &each : taps)
      for (int64_t c = 0; c < channels; ++c)
        *to++ = sumOf(each, row + c, channels);
  }
  return made;
}

static Expected<Pixels> resizeColumns(const Pixels &pixels, const AxisPart &part,
                                      ImageFilter filter, const Limits &limits) {
  QUERN_ASSIGN(AxisTaps taps, tapsOf(part, filter));
  int64_t rowBytes = pixels.width() * pixels.channels();
  Pixels made;
  QUERN_ASSIGN(
      made.bytes,
      Tensor::allocate(DType::UInt8, {part.count, pixels.width(), pixels.channels()}, limits));
  uint8_t *to = made.bytes.mutableData<uint8_t>();
  for (const auto &each : taps)
    for (int64_t x = 0; x < rowBytes; ++x)
      *to++ = sumOf(each, pixels.bytes.data<uint8_t>() + x, rowBytes);
  return made;
}

//===----------------------------------------------------------------------===//
// Both
//===----------------------------------------------------------------------===//

static int64_t scaled(int64_t size, double factor) {
  // A product such as 3 * (256 / 3.0) is 256, whatever its last bits.
  constexpr double kSlack = 1e-6;
  return static_cast<int64_t>(std::floor(static_cast<double>(size) * factor + kSlack));
}

/// The centre of `output` elements, halves rounded to even as torchvision does.
static AxisPart centre(int64_t input, int64_t output, int64_t kept) {
  output = std::max(output, kept);
  auto begin = static_cast<int64_t>(std::nearbyint(static_cast<double>(output - kept) / 2));
  return {input, output, begin, kept};
}

static Expected<Pixels> resize(const Pixels &pixels, const AxisPart &rows, const AxisPart &columns,
                               ImageFilter filter, const Limits &limits) {
  QUERN_ASSIGN(Pixels narrow, resizeRows(pixels, columns, filter, limits));
  return resizeColumns(narrow, rows, filter, limits);
}

/// In the middle of black.
static Expected<Pixels> framed(const Pixels &pixels, int64_t height, int64_t width,
                               const Limits &limits) {
  Pixels made;
  QUERN_ASSIGN(made.bytes,
               Tensor::allocate(DType::UInt8, {height, width, pixels.channels()}, limits));
  int64_t top = (height - pixels.height()) / 2, left = (width - pixels.width()) / 2;
  int64_t rowBytes = pixels.width() * pixels.channels();
  for (int64_t y = 0; y < pixels.height(); ++y)
    std::copy_n(pixels.bytes.data<uint8_t>() + y * rowBytes, rowBytes,
                made.bytes.mutableData<uint8_t>() + ((top + y) * width + left) * pixels.channels());
  return made;
}

Expected<Pixels> quern::fitPixels(const Pixels &pixels, int64_t height, int64_t width, ImageFit fit,
                                  double crop, ImageFilter filter, const Limits &limits) {
  double down = static_cast<double>(height) / static_cast<double>(pixels.height());
  double across = static_cast<double>(width) / static_cast<double>(pixels.width());
  if (fit == ImageFit::Crop) {
    double factor = std::max(down, across) / crop;
    // Only the shown part is computed, but no axis is cut into more than can be counted.
    if (factor * static_cast<double>(std::max(pixels.height(), pixels.width())) > 0x1p31)
      return resourceLimit("too small a part of the image is to stay");
    return resize(pixels, centre(pixels.height(), scaled(pixels.height(), factor), height),
                  centre(pixels.width(), scaled(pixels.width(), factor), width), filter, limits);
  }
  if (fit == ImageFit::Stretch)
    return resize(pixels, {pixels.height(), height, 0, height}, {pixels.width(), width, 0, width},
                  filter, limits);
  double factor = std::min(down, across);
  int64_t rows = std::clamp<int64_t>(scaled(pixels.height(), factor), 1, height);
  int64_t columns = std::clamp<int64_t>(scaled(pixels.width(), factor), 1, width);
  QUERN_ASSIGN(Pixels small, resize(pixels, {pixels.height(), rows, 0, rows},
                                    {pixels.width(), columns, 0, columns}, filter, limits));
  return framed(small, height, width, limits);
}
