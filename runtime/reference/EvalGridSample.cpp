//===- EvalGridSample.cpp - reference kernel of sampling at places --------===//
//
// A point is put into the image as the padding says, then has a few taps along each
// axis; those of all axes together are the elements it is made of, the same in every
// channel.
//
//===----------------------------------------------------------------------===//
#include "runtime/reference/DTypeDispatch.h"
#include "runtime/reference/DataMovement.h"
#include "runtime/reference/Enumerations.h"
#include "runtime/reference/Indexing.h"
#include "runtime/reference/Vision.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

using namespace quern;
using namespace quern::reference;

namespace {

struct SampleRule {
  ResizeMode mode = ResizeMode::Linear;
  PadMode padding = PadMode::Constant;
  bool alignCorners = false;

  int64_t tapsPerAxis() const {
    return mode == ResizeMode::Nearest ? 1 : mode == ResizeMode::Linear ? 2 : 4;
  }
};

/// An element of a channel and its weight in a sample.
struct Tap {
  int64_t offset = 0;
  double weight = 1;
};

struct GridSizes {
  int64_t batch = 0, channels = 0;
  /// Of the image; distances of its elements.
  std::vector<int64_t> spatial, strides;
  /// Points of one image.
  int64_t points = 0;
  std::vector<int64_t> resultDims;
};

} // namespace

/// `x` turned back at the ends of [low, high] until it lies within.
static double reflected(double x, double low, double high) {
  double range = high - low;
  if (!(range > 0))
    return low;
  if (x >= low && x <= high)
    return x;
  // How far there and back.
  double way = std::fmod(x < low ? low - x : x - high, 2 * range);
  bool isBack = way >= range;
  double rest = isBack ? way - range : way;
  return (x < low) != isBack ? low + rest : high - rest;
}

/// Where the padding lets a point lie along an axis; NaN counts as 0.
static double placeInside(double x, int64_t size, const SampleRule &rule) {
  constexpr double kMargin = 8;
  double edge = rule.alignCorners ? 0 : -0.5, last = static_cast<double>(size) - 1;
  if (std::isnan(x))
    return 0;
  if (rule.padding == PadMode::Reflect)
    // Infinities have no place to turn to.
    return std::isinf(x) ? 0 : reflected(x, edge, last - edge);
  // Of a cubic the taps are put inside, not the point, as PyTorch does.
  if (rule.padding == PadMode::Edge && rule.mode != ResizeMode::Cubic)
    return std::clamp(x, 0.0, last);
  return std::clamp(x, -kMargin, last + kMargin);
}

/// The element that stands at index `i` of an axis; -1 for zero.
static int64_t elementAt(int64_t i, int64_t size, const SampleRule &rule) {
  if (i >= 0 && i < size)
    return i;
  if (rule.padding == PadMode::Constant)
    return -1;
  if (rule.padding == PadMode::Edge)
    return std::clamp<int64_t>(i, 0, size - 1);
  double edge = rule.alignCorners ? 0 : -0.5;
  double turned = reflected(static_cast<double>(i), edge, static_cast<double>(size) - 1 - edge);
  return std::clamp<int64_t>(static_cast<int64_t>(turned), 0, size - 1);
}

/// The weights of an axis' taps for a point at `t` in [0, 1] after the tap before it.
static std::array<double, 4> tapWeights(double t, ResizeMode mode) {
  if (mode == ResizeMode::Nearest)
    return {1};
  if (mode == ResizeMode::Linear)
    return {1 - t, t};
  constexpr double a = -0.75;
  auto near = [](double d) { return ((a + 2) * d - (a + 3)) * d * d + 1; };
  auto far = [](double d) { return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a; };
  return {far(t + 1), near(t), near(1 - t), far(2 - t)};
}

/// The taps of one point, whose coordinates are the last axis first; how many there are.
template <typename P>
static int64_t findTaps(const P *point, const GridSizes &sizes, const SampleRule &rule,
                        std::span<Tap> taps) {
  int64_t count = 1;
  taps[0] = Tap();
  for (size_t axis = 0; axis < sizes.spatial.size(); ++axis) {
    double x = widen(point[sizes.spatial.size() - 1 - axis]);
    int64_t size = sizes.spatial[axis];
    // Nearest rounds ties to even, before the padding is asked.
    x = placeInside(rule.mode == ResizeMode::Nearest ? std::rint(x) : x, size, rule);
    double below = rule.mode == ResizeMode::Nearest ? std::rint(x) : std::floor(x);
    int64_t first = static_cast<int64_t>(below) - (rule.mode == ResizeMode::Cubic ? 1 : 0);
    std::array<double, 4> weights = tapWeights(x - below, rule.mode);
    // Every tap so far with each of this axis, the others' copies behind.
    int64_t perAxis = rule.tapsPerAxis(), written = 0;
    std::copy_backward(taps.begin(), taps.begin() + count, taps.begin() + count * perAxis);
    std::span<const Tap> before = taps.subspan(count * perAxis - count, count);
    for (int64_t i = 0; i < count; ++i) {
      Tap outer = before[i];
      for (int64_t t = 0; t < perAxis; ++t)
        if (int64_t element = elementAt(first + t, size, rule); element >= 0)
          taps[written++] = {outer.offset + element * sizes.strides[axis],
                             outer.weight * weights[t]};
    }
    count = written;
  }
  return count;
}

template <typename T, typename P>
static Status sampleAll(const GridSizes &sizes, const SampleRule &rule, const T *input,
                        const P *points, T *result, Budget &budget) {
  CheckedSize tapsPerPoint(int64_t{1});
  for (size_t axis = 0; axis < sizes.spatial.size(); ++axis)
    tapsPerPoint *= CheckedSize(rule.tapsPerAxis());
  QUERN_ASSIGN(std::span<Tap> taps, budget.scratch<Tap>(tapsPerPoint));
  int64_t rank = static_cast<int64_t>(sizes.spatial.size()), plane = countOf(sizes.spatial);
  CheckedSize work = CheckedSize::product(sizes.resultDims) * tapsPerPoint;
  QUERN_TRY(budget.require(work));
  for (int64_t n = 0; n < sizes.batch; ++n)
    for (int64_t p = 0; p < sizes.points; ++p) {
      QUERN_TRY(budget.spend(16 * rank + static_cast<int64_t>(taps.size()) * (4 + sizes.channels)));
      int64_t count = findTaps(points + (n * sizes.points + p) * rank, sizes, rule, taps);
      for (int64_t c = 0; c < sizes.channels; ++c) {
        const T *channel = input + (n * sizes.channels + c) * plane;
        double sum = 0;
        for (const Tap &tap : taps.first(count))
          sum += tap.weight * static_cast<double>(widen(channel[tap.offset]));
        result[(n * sizes.channels + c) * sizes.points + p] = fromDouble<T>(sum);
      }
    }
  return Status::ok();
}

static Expected<GridSizes> resolveSizes(const Tensor &input, const Tensor &points) {
  int64_t rank = input.rank() - 2;
  if (rank < 1 || points.rank() < 2 || points.dim(points.rank() - 1) != rank ||
      points.dim(0) != input.dim(0))
    return invalidInput("points " + points.describe() + " do not fit input " + input.describe());
  GridSizes sizes;
  sizes.batch = input.dim(0);
  sizes.channels = input.dim(1);
  sizes.spatial.assign(input.dims().begin() + 2, input.dims().end());
  sizes.strides = rowMajorStrides(sizes.spatial);
  std::span<const int64_t> inner = std::span(points.dims()).subspan(1, points.rank() - 2);
  sizes.points = countOf(inner);
  sizes.resultDims = {sizes.batch, sizes.channels};
  sizes.resultDims.insert(sizes.resultDims.end(), inner.begin(), inner.end());
  return sizes;
}

Expected<std::vector<Tensor>> reference::evalGridSample(const OpCall &call) {
  const Tensor &input = call.inputs[0], &points = call.inputs[1];
  SampleRule rule{call.attributes.getEnum("mode", ResizeMode::Linear),
                  call.attributes.getEnum("padding", PadMode::Constant),
                  call.attributes.getInt("align_corners") != 0};
  QUERN_ASSIGN(GridSizes sizes, resolveSizes(input, points));
  QUERN_TRY(checkRank(sizes.resultDims.size(), call.budget));
  QUERN_ASSIGN(Tensor result, call.allocateResult(0, input.dtype(), sizes.resultDims));
  if (result.numElements() == 0)
    return std::vector<Tensor>{result};
  if (input.numElements() == 0)
    return invalidInput("an empty image " + input.describe() + " has no elements to sample");
  QUERN_TRY(visitNumber(input.dtype(), [&]<typename T>() {
    return visitFloat(points.dtype(), [&]<typename P>() {
      return sampleAll<T, P>(sizes, rule, input.data<T>(), points.data<P>(),
                             result.mutableData<T>(), call.budget);
    });
  }));
  return std::vector<Tensor>{result};
}
