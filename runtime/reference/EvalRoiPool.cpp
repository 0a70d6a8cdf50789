//===- EvalRoiPool.cpp - reference kernel of pooling regions --------------===//
#include "runtime/reference/DTypeDispatch.h"
#include "runtime/reference/Enumerations.h"
#include "runtime/reference/Gather.h"
#include "runtime/reference/Indexing.h"
#include "runtime/reference/Vision.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

using namespace quern;
using namespace quern::reference;

namespace {

struct RoiRule {
  bool isMax = false;
  bool wholePixels = false;
  bool halfPixel = false;
  double scale = 1;
  int64_t samplingRatio = 0;
};

/// One axis of one region: its bins, and of how many samples each is made.
struct RoiAxis {
  double begin = 0;
  double bin = 0;
  int64_t samples = 0;
  int64_t input = 0;
};

/// The pixels around a sample along an axis; none beyond the image.
struct Neighbours {
  int64_t low = 0, high = 0;
  double weightLow = 0, weightHigh = 0;
};

/// What one image and its result are.
struct RoiSizes {
  int64_t channels = 0, height = 0, width = 0;
  int64_t outputHeight = 0, outputWidth = 0;
};

} // namespace

//===----------------------------------------------------------------------===//
// Samples between pixels (RoiAlign)
//===----------------------------------------------------------------------===//

static Expected<RoiAxis> alignedAxis(double begin, double end, int64_t input, int64_t output,
                                     const RoiRule &rule) {
  double offset = rule.halfPixel ? 0.5 : 0;
  RoiAxis axis;
  axis.begin = begin * rule.scale - offset;
  double size = end * rule.scale - offset - axis.begin;
  if (!rule.halfPixel)
    size = std::max(size, 1.0);
  axis.bin = size / static_cast<double>(output);
  axis.input = input;
  double samples = rule.samplingRatio > 0 ? static_cast<double>(rule.samplingRatio)
                                          : std::max(0.0, std::ceil(axis.bin));
  if (!std::isfinite(axis.begin) || !(samples < 0x1p31))
    return invalidInput(fmt::format("a region from {} to {} has no samples", begin, end));
  axis.samples = static_cast<int64_t>(samples);
  return axis;
}

static Neighbours neighboursOf(const RoiAxis &axis, int64_t bin, int64_t sample) {
  double x = axis.begin + static_cast<double>(bin) * axis.bin +
             (static_cast<double>(sample) + 0.5) * axis.bin / static_cast<double>(axis.samples);
  if (!(x >= -1 && x <= static_cast<double>(axis.input)))
    return {};
  x = std::clamp(x, 0.0, static_cast<double>(axis.input - 1));
  auto low = static_cast<int64_t>(x);
  double t = x - static_cast<double>(low);
  return {low, std::min(low + 1, axis.input - 1), 1 - t, t};
}

/// The mean of a bin's samples; of their largest, the largest of the four pixels' parts.
template <typename T>
static Expected<double> poolSamples(const T *channel, int64_t width, const RoiAxis &y, int64_t binY,
                                    const RoiAxis &x, int64_t binX, bool isMax, Budget &budget) {
  double sum = 0;
  bool first = true;
  for (int64_t iy = 0; iy < y.samples; ++iy) {
    QUERN_TRY(budget.spend(8 + 16 * x.samples));
    Neighbours v = neighboursOf(y, binY, iy);
    for (int64_t ix = 0; ix < x.samples; ++ix) {
      Neighbours h = neighboursOf(x, binX, ix);
      auto part = [&](int64_t row, int64_t column, double weight) {
        return weight * static_cast<double>(widen(channel[row * width + column]));
      };
      double parts[] = {part(v.low, h.low, v.weightLow * h.weightLow),
                        part(v.low, h.high, v.weightLow * h.weightHigh),
                        part(v.high, h.low, v.weightHigh * h.weightLow),
                        part(v.high, h.high, v.weightHigh * h.weightHigh)};
      if (isMax) {
        double largest = *std::max_element(parts, parts + 4);
        sum = first ? largest : std::max(sum, largest);
      } else {
        sum += parts[0] + parts[1] + parts[2] + parts[3];
      }
      first = false;
    }
  }
  double samples = static_cast<double>(y.samples) * static_cast<double>(x.samples);
  return isMax ? sum : sum / std::max(samples, 1.0);
}

//===----------------------------------------------------------------------===//
// Whole pixels (MaxRoiPool)
//===----------------------------------------------------------------------===//

/// Coordinates and bins are float32, as everybody computes them: which pixel a tie goes to
/// depends on it.
static Expected<RoiAxis> wholeAxis(double begin, double end, int64_t input, int64_t output,
                                   const RoiRule &rule) {
  auto pixel = [&](double x) {
    return std::round(static_cast<float>(x) * static_cast<float>(rule.scale));
  };
  RoiAxis axis;
  float first = pixel(begin), last = pixel(end);
  // Beyond that neighbours would be the same number.
  if (!(std::abs(first) < 0x1p23f && std::abs(last) < 0x1p23f))
    return invalidInput(fmt::format("a region from {} to {} has no pixels", begin, end));
  axis.begin = first;
  axis.bin = std::max(last - first + 1, 1.0f) / static_cast<float>(output);
  axis.input = input;
  return axis;
}

/// The pixels that a bin touches.
static std::pair<int64_t, int64_t> pixelsOf(const RoiAxis &axis, int64_t bin) {
  double last = static_cast<double>(axis.input);
  auto size = static_cast<float>(axis.bin), at = static_cast<float>(bin);
  double begin = axis.begin + std::floor(at * size);
  double end = axis.begin + std::ceil((at + 1) * size);
  return {static_cast<int64_t>(std::clamp(begin, 0.0, last)),
          static_cast<int64_t>(std::clamp(end, 0.0, last))};
}

/// The largest or the mean; 0 of no pixels.
template <typename T>
static Expected<double> poolPixels(const T *channel, int64_t width, const RoiAxis &y, int64_t binY,
                                   const RoiAxis &x, int64_t binX, bool isMax, Budget &budget) {
  auto [top, bottom] = pixelsOf(y, binY);
  auto [left, right] = pixelsOf(x, binX);
  double largest = -INFINITY, sum = 0;
  for (int64_t row = top; row < bottom; ++row) {
    QUERN_TRY(budget.spend(8 + right - left));
    for (int64_t column = left; column < right; ++column) {
      auto value = static_cast<double>(widen(channel[row * width + column]));
      largest = std::max(largest, value);
      sum += value;
    }
  }
  if (top >= bottom || left >= right)
    return 0;
  return isMax ? largest : sum / (static_cast<double>(bottom - top) * double(right - left));
}

//===----------------------------------------------------------------------===//
// All regions
//===----------------------------------------------------------------------===//

template <typename T>
static Status poolRegion(const RoiSizes &sizes, const RoiRule &rule, const T *roi, const T *image,
                         T *result, Budget &budget) {
  auto axis = [&](int64_t i, int64_t input, int64_t output) {
    double begin = widen(roi[i]), end = widen(roi[2 + i]);
    return rule.wholePixels ? wholeAxis(begin, end, input, output, rule)
                            : alignedAxis(begin, end, input, output, rule);
  };
  QUERN_ASSIGN(RoiAxis x, axis(0, sizes.width, sizes.outputWidth));
  QUERN_ASSIGN(RoiAxis y, axis(1, sizes.height, sizes.outputHeight));
  auto pool = rule.wholePixels ? poolPixels<T> : poolSamples<T>;
  for (int64_t c = 0; c < sizes.channels; ++c)
    for (int64_t by = 0; by < sizes.outputHeight; ++by)
      for (int64_t bx = 0; bx < sizes.outputWidth; ++bx) {
        QUERN_TRY(budget.spend(16));
        const T *channel = image + c * sizes.height * sizes.width;
        QUERN_ASSIGN(double value, pool(channel, sizes.width, y, by, x, bx, rule.isMax, budget));
        *result++ = fromDouble<T>(value);
      }
  return Status::ok();
}

static Status checkOperands(const OpCall &call) {
  const Tensor &input = call.inputs[0], &rois = call.inputs[1], &images = call.inputs[2];
  if (input.rank() != 4 || rois.rank() != 2 || rois.dim(1) != 4 || images.rank() != 1 ||
      images.dim(0) != rois.dim(0) || rois.dtype() != input.dtype())
    return invalidInput("rois " + rois.describe() + " of images " + images.describe() +
                        " do not fit input " + input.describe());
  if (call.attributes.getInt("height") < 1 || call.attributes.getInt("width") < 1)
    return invalidInput("the size of the result must be positive");
  return Status::ok();
}

Expected<std::vector<Tensor>> reference::evalRoiPool(const OpCall &call) {
  QUERN_TRY(checkOperands(call));
  const Tensor &input = call.inputs[0], &rois = call.inputs[1];
  const Attributes &attributes = call.attributes;
  RoiRule rule{attributes.getEnum("kind", ReduceKind::Mean) == ReduceKind::Max,
               attributes.getInt("whole_pixels") != 0, attributes.getInt("half_pixel") != 0,
               attributes.getFloat("spatial_scale", 1), attributes.getInt("sampling_ratio")};
  RoiSizes sizes{input.dim(1), input.dim(2), input.dim(3), attributes.getInt("height"),
                 attributes.getInt("width")};
  QUERN_ASSIGN(Tensor images, checkedIndices(call.inputs[2], input.dim(0), call.budget));
  QUERN_ASSIGN(Tensor result, call.allocateResult(0, input.dtype(),
                                                  {rois.dim(0), sizes.channels, sizes.outputHeight,
                                                   sizes.outputWidth}));
  if (result.numElements() == 0)
    return std::vector<Tensor>{result};
  if (input.numElements() == 0)
    return invalidInput("an empty image " + input.describe() + " has no regions");
  QUERN_TRY(visitFloat(input.dtype(), [&]<typename T>() {
    int64_t image = sizes.channels * sizes.height * sizes.width;
    int64_t region = sizes.channels * sizes.outputHeight * sizes.outputWidth;
    for (int64_t r = 0; r < rois.dim(0); ++r)
      QUERN_TRY(poolRegion(sizes, rule, rois.data<T>() + r * 4,
                           input.data<T>() + images.data<int64_t>()[r] * image,
                           result.mutableData<T>() + r * region, call.budget));
    return Status::ok();
  }));
  return std::vector<Tensor>{result};
}
