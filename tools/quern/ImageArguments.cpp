//===- ImageArguments.cpp - how images become inputs, as options say ------===//
#include "tools/quern/ImageArguments.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

using namespace quern;
using namespace quern::cli;

static bool parseNumber(std::string_view text, double &number) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

/// "0.5", "1/255".
static bool parseRatio(std::string_view text, double &number) {
  size_t slash = text.find('/');
  double below = 1;
  if (slash != std::string_view::npos &&
      (!parseNumber(text.substr(slash + 1), below) || below == 0))
    return false;
  if (!parseNumber(text.substr(0, slash), number))
    return false;
  number /= below;
  return true;
}

static Expected<std::vector<double>> parseNumbers(const char *flag, const std::string &text) {
  std::vector<double> numbers;
  for (size_t at = 0; !text.empty() && at <= text.size();) {
    size_t end = std::min(text.find(',', at), text.size());
    if (!parseRatio(std::string_view(text).substr(at, end - at), numbers.emplace_back()))
      return usageError(fmt::format("{} {}: wanted numbers, as in 0.485,0.456,0.406", flag, text));
    at = end + 1;
  }
  return numbers;
}

static Status parseSize(const std::string &text, ImageOptions &options) {
  const char *begin = text.data(), *last = begin + text.size();
  int64_t height = 0, width = 0;
  auto [cross, error] = std::from_chars(begin, last, height);
  bool isRight = error == std::errc() && cross != last && *cross == 'x';
  if (isRight) {
    auto [end, second] = std::from_chars(cross + 1, last, width);
    isRight = second == std::errc() && end == last && height > 0 && width > 0;
  }
  if (!isRight)
    return usageError("--image-size " + text + ": wanted HEIGHTxWIDTH, as in 224x224");
  options.height = height;
  options.width = width;
  return Status::ok();
}

/// Where one of the three is given, the others are as by default: numbers of different sources
/// would not be in the same units.
static Status parsePixels(const ImageArguments &arguments, ImageOptions &options) {
  if (arguments.scale.empty() && arguments.mean.empty() && arguments.deviation.empty())
    return Status::ok();
  PixelNumbers numbers;
  if (!arguments.scale.empty() && !parseRatio(arguments.scale, numbers.scale))
    return usageError("--image-scale " + arguments.scale + ": wanted a number, as in 1/255");
  QUERN_ASSIGN(numbers.mean, parseNumbers("--image-mean", arguments.mean));
  QUERN_ASSIGN(numbers.deviation, parseNumbers("--image-std", arguments.deviation));
  options.numbers = std::move(numbers);
  return Status::ok();
}

Expected<ImageOptions> cli::parseImageOptions(const ImageArguments &arguments) {
  ImageOptions options;
  if (!arguments.size.empty())
    QUERN_TRY(parseSize(arguments.size, options));
  QUERN_TRY(parsePixels(arguments, options));
  if (double part = 1; !arguments.crop.empty()) {
    if (!parseRatio(arguments.crop, part) || !(part > 0 && part <= 1))
      return usageError("--image-crop " + arguments.crop + ": wanted a part of 1, as in 0.875");
    options.crop = part;
  }
  if (!arguments.fit.empty())
    options.fit = arguments.fit == "crop"  ? ImageFit::Crop
                  : arguments.fit == "pad" ? ImageFit::Pad
                                           : ImageFit::Stretch;
  if (!arguments.filter.empty())
    options.filter = arguments.filter == "nearest"   ? ImageFilter::Nearest
                     : arguments.filter == "bicubic" ? ImageFilter::Bicubic
                                                     : ImageFilter::Bilinear;
  if (!arguments.layout.empty())
    options.layout =
        arguments.layout == "nhwc" ? ImageLayout::ChannelsLast : ImageLayout::ChannelsFirst;
  if (!arguments.colors.empty())
    options.colors = arguments.colors == "gray"  ? ImageColors::Gray
                     : arguments.colors == "bgr" ? ImageColors::Bgr
                                                 : ImageColors::Rgb;
  if (!arguments.preset.empty()) {
    QUERN_ASSIGN(ImageOptions preset, imagePreset(arguments.preset));
    options = options.orElse(preset);
  }
  return options;
}
