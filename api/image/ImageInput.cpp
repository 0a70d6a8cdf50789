//===- ImageInput.cpp - image files as the inputs of models ---------------===//
#include "quern/ImageInput.h"

#include "api/image/Pixels.h"
#include "quern/ConvertTensor.h"
#include "runtime/reference/ImageCodecs.h"

#include <algorithm>
#include <cmath>
#include <fmt/ranges.h>

using namespace quern;

ImageOptions ImageOptions::orElse(const ImageOptions &others) const {
  ImageOptions both = *this;
  auto take = [](auto &mine, const auto &other) {
    if (!mine)
      mine = other;
  };
  take(both.height, others.height);
  take(both.width, others.width);
  take(both.fit, others.fit);
  take(both.crop, others.crop);
  take(both.filter, others.filter);
  take(both.layout, others.layout);
  take(both.colors, others.colors);
  take(both.numbers, others.numbers);
  take(both.quantization, others.quantization);
  if (both.unsupported.empty())
    both.unsupported = others.unsupported;
  return both;
}

Expected<ImageOptions> quern::imagePreset(std::string_view name) {
  if (name == "torch")
    return ImageOptions{
        .fit = ImageFit::Crop,
        .crop = 0.875,
        .colors = ImageColors::Rgb,
        .numbers = PixelNumbers{.mean = {0.485, 0.456, 0.406}, .deviation = {0.229, 0.224, 0.225}}};
  if (name == "tf")
    return ImageOptions{.colors = ImageColors::Rgb,
                        .numbers = PixelNumbers{.scale = 1, .mean = {127.5}, .deviation = {127.5}}};
  if (name == "caffe")
    return ImageOptions{.colors = ImageColors::Bgr,
                        .numbers = PixelNumbers{.scale = 1, .mean = {103.939, 116.779, 123.68}}};
  return usageError(fmt::format("there are no images for '{}'; wanted torch, tf or caffe", name));
}

bool quern::isImage(std::span<const std::byte> head) {
  return reference::isImageFile({reinterpret_cast<const uint8_t *>(head.data()), head.size()});
}

//===----------------------------------------------------------------------===//
// What the input wants
//===----------------------------------------------------------------------===//

namespace {
/// The form of a tensor of one image.
struct Form {
  bool hasBatch = false;
  ImageLayout layout = ImageLayout::ChannelsFirst;
  ImageColors colors = ImageColors::Rgb;
  int64_t channels = 3, height = 0, width = 0;

  Tensor::Dims dims(int64_t rank) const {
    Tensor::Dims dims = {height, width};
    if (rank > 2)
      dims.insert(layout == ImageLayout::ChannelsFirst ? dims.begin() : dims.end(), channels);
    if (hasBatch)
      dims.insert(dims.begin(), 1);
    return dims;
  }
};
} // namespace

/// The size of a dimension, where it is known.
static std::optional<int64_t> sizeOf(const PortDim &dim) {
  return dim.isStatic() ? std::optional(dim.size()) : std::nullopt;
}

/// Which of its dimensions are channels, by sizes of 1 or 3, unless it is said.
static Expected<ImageLayout> layoutOf(const PortSignature &port, int64_t first,
                                      const ImageOptions &options) {
  auto mayBe = [&](int64_t d) {
    std::optional<int64_t> size = sizeOf(port.shape[d]);
    return !size || *size == 1 || *size == 3;
  };
  bool isFirst = mayBe(first), isLast = mayBe(first + 2);
  if (!isFirst && !isLast)
    return invalidInput(fmt::format("it takes {}, which has no dimension of 1 or 3 channels where "
                                    "images have them",
                                    port.describe()));
  if (options.layout) {
    if (!(*options.layout == ImageLayout::ChannelsFirst ? isFirst : isLast))
      return invalidInput(fmt::format("it takes {}, whose channels cannot lie as the layout says",
                                      port.describe()));
    return *options.layout;
  }
  // A size that is known says more than one that may be any.
  bool isFirstKnown = isFirst && sizeOf(port.shape[first]);
  bool isLastKnown = isLast && sizeOf(port.shape[first + 2]);
  if (isFirst && isLast && isFirstKnown == isLastKnown)
    return invalidInput(fmt::format("it takes {}, of which the channels could be the first or the "
                                    "last dimension; the layout says which",
                                    port.describe()));
  bool isChannelsFirst = isFirst && isLast ? isFirstKnown : isFirst;
  return isChannelsFirst ? ImageLayout::ChannelsFirst : ImageLayout::ChannelsLast;
}

static Expected<int64_t> extentOf(const char *what, const PortDim &dim,
                                  std::optional<int64_t> asked, int64_t own) {
  std::optional<int64_t> size = sizeOf(dim);
  if (size && asked && *size != *asked)
    return invalidInput(
        fmt::format("the model takes images of {} {}, asked is {}", what, *size, *asked));
  int64_t result = size.value_or(asked.value_or(own));
  if (result <= 0)
    return invalidInput(fmt::format("images of {} {}", what, result));
  return result;
}

/// The colors, whose count the input or else the options say.
static Expected<ImageColors> colorsOf(std::optional<int64_t> channels,
                                      const ImageOptions &options) {
  ImageColors byCount = channels == 1 ? ImageColors::Gray : ImageColors::Rgb;
  ImageColors colors = options.colors.value_or(byCount);
  if (channels && (*channels == 1) != (colors == ImageColors::Gray))
    return invalidInput(fmt::format("the model takes {} channel{}, asked is {}", *channels,
                                    *channels == 1 ? "" : "s",
                                    colors == ImageColors::Gray ? "gray" : "colors"));
  return colors;
}

static Expected<Form> formOf(const PortSignature &port, const ImageOptions &options,
                             const Pixels &pixels) {
  int64_t rank = port.shape.rank();
  if (!port.isTensor() || port.dtype == DType::String)
    return invalidInput(fmt::format("it takes {}, which is no image", port.describe()));
  if (!port.ranked || rank < 2 || rank > 4)
    return invalidInput(
        fmt::format("it takes {}; an image has 2 to 4 dimensions", port.describe()));
  Form form{.hasBatch = rank == 4};
  if (std::optional<int64_t> batch = form.hasBatch ? sizeOf(port.shape[0]) : 1;
      batch && *batch != 1)
    return invalidInput(
        fmt::format("it takes {} images at once ({}), the file is one", *batch, port.describe()));
  int64_t first = form.hasBatch ? 1 : 0;
  std::optional<int64_t> channels = 1;
  int64_t rows = first;
  if (rank > 2) {
    QUERN_ASSIGN(form.layout, layoutOf(port, first, options));
    bool isFirst = form.layout == ImageLayout::ChannelsFirst;
    channels = sizeOf(port.shape[isFirst ? first : first + 2]);
    rows = isFirst ? first + 1 : first;
  }
  QUERN_ASSIGN(form.colors, colorsOf(channels, options));
  form.channels = form.colors == ImageColors::Gray ? 1 : 3;
  QUERN_ASSIGN(form.height, extentOf("height", port.shape[rows], options.height, pixels.height()));
  QUERN_ASSIGN(form.width, extentOf("width", port.shape[rows + 1], options.width, pixels.width()));
  return form;
}

//===----------------------------------------------------------------------===//
// From bytes to numbers
//===----------------------------------------------------------------------===//

static Status checkNumbers(const PixelNumbers &numbers, int64_t channels) {
  for (const auto *each : {&numbers.mean, &numbers.deviation})
    if (each->size() > 1 && static_cast<int64_t>(each->size()) != channels)
      return invalidInput(fmt::format("{} numbers of mean or deviation for {} channel{}",
                                      each->size(), channels, channels == 1 ? "" : "s"));
  bool isFinite = std::isfinite(numbers.scale);
  for (double mean : numbers.mean)
    isFinite &= std::isfinite(mean);
  for (double deviation : numbers.deviation)
    isFinite &= std::isfinite(deviation) && deviation != 0;
  return isFinite ? Status::ok() : invalidInput("a deviation of 0, or numbers that are not finite");
}

static double numberFor(const std::vector<double> &numbers, int64_t channel, double otherwise) {
  if (numbers.empty())
    return otherwise;
  return numbers[numbers.size() == 1 ? 0 : static_cast<size_t>(channel)];
}

/// What an input takes of pixels where nothing says it.
static PixelNumbers defaultNumbers(DType dtype) {
  if (isFloat(dtype))
    return {};
  return {.scale = 1, .mean = {dtype == DType::Int8 ? 128.0 : 0.0}};
}

namespace {
/// What an element is of each value that a byte can have, for each channel.
using ByteTable = std::vector<std::array<float, 256>>;
} // namespace

static ByteTable tableOf(const PixelNumbers &numbers, const ImageOptions &options,
                         const PortSignature &port, int64_t channels) {
  bool isInteger = !isFloat(port.dtype);
  double low = port.dtype == DType::Int8 ? -128 : 0, high = port.dtype == DType::Int8 ? 127 : 255;
  ByteTable table(static_cast<size_t>(channels));
  for (int64_t c = 0; c < channels; ++c)
    for (size_t byte = 0; byte < 256; ++byte) {
      double value = (static_cast<double>(byte) * numbers.scale - numberFor(numbers.mean, c, 0)) /
                     numberFor(numbers.deviation, c, 1);
      if (isInteger && options.numbers && options.quantization)
        value = value / options.quantization->scale +
                static_cast<double>(options.quantization->zeroPoint);
      if (isInteger)
        value = std::nearbyint(value);
      if (port.dtype == DType::Int8 || port.dtype == DType::UInt8)
        value = std::clamp(value, low, high);
      table[static_cast<size_t>(c)][byte] = static_cast<float>(value);
    }
  return table;
}

static Expected<Tensor> numbersOf(const Pixels &pixels, const ByteTable &table, const Form &form,
                                  const PortSignature &port, const Limits &limits) {
  QUERN_ASSIGN(Tensor tensor,
               Tensor::allocate(DType::Float32, form.dims(port.shape.rank()), limits));
  const uint8_t *from = pixels.bytes.data<uint8_t>();
  float *to = tensor.mutableData<float>();
  int64_t count = form.height * form.width;
  bool isFirst = form.layout == ImageLayout::ChannelsFirst;
  for (int64_t c = 0; c < form.channels; ++c) {
    int64_t source = form.colors == ImageColors::Bgr ? form.channels - 1 - c : c;
    for (int64_t i = 0; i < count; ++i)
      to[isFirst ? c * count + i : i * form.channels + c] =
          table[static_cast<size_t>(c)][from[i * form.channels + source]];
  }
  return port.dtype == DType::Float32 ? std::move(tensor)
                                      : convertTensor(tensor, port.dtype, limits);
}

static std::string describe(const Pixels &original, const Tensor &tensor, const Form &form,
                            ImageFit fit, const PixelNumbers &numbers) {
  const char *fits[] = {"stretched", "cropped", "padded"};
  const char *colors[] = {"RGB", "BGR", "gray"};
  std::string pixel = numbers.scale == 1 ? "pixel" : fmt::format("pixel * {:.4g}", numbers.scale);
  if (!numbers.mean.empty())
    pixel += fmt::format(" - {:.4g}", fmt::join(numbers.mean, ","));
  if (!numbers.deviation.empty())
    pixel = fmt::format("({}) / {:.4g}", pixel, fmt::join(numbers.deviation, ","));
  return fmt::format("{}x{} pixels as {}: {}, {}, {}", original.width(), original.height(),
                     tensor.describe(), fits[static_cast<int>(fit)],
                     colors[static_cast<int>(form.colors)], pixel);
}

Expected<ImageInput> quern::readImage(std::span<const std::byte> file, const PortSignature &port,
                                      const ImageOptions &options, const Limits &limits) {
  if (!options.unsupported.empty())
    return unsupported(options.unsupported);
  double crop = options.crop.value_or(1);
  if (!(crop > 0 && crop <= 1))
    return invalidInput(
        fmt::format("{} of an image is to stay; wanted more than 0, at most 1", crop));
  QUERN_ASSIGN(Pixels original, decodePixels(file, limits));
  QUERN_ASSIGN(Form form, formOf(port, options, original));
  PixelNumbers numbers = options.numbers.value_or(defaultNumbers(port.dtype));
  QUERN_TRY(checkNumbers(numbers, form.channels));
  Pixels pixels = original;
  if (form.colors == ImageColors::Gray) {
    QUERN_ASSIGN(pixels, grayOf(original, limits));
  }
  ImageFit fit = options.fit.value_or(ImageFit::Stretch);
  QUERN_ASSIGN(pixels, fitPixels(pixels, form.height, form.width, fit, crop,
                                 options.filter.value_or(ImageFilter::Bilinear), limits));
  ByteTable table = tableOf(numbers, options, port, form.channels);
  QUERN_ASSIGN(Tensor tensor, numbersOf(pixels, table, form, port, limits));
  std::string description = describe(original, tensor, form, fit, numbers);
  return ImageInput{std::move(tensor), std::move(description),
                    !options.numbers && isFloat(port.dtype)};
}
