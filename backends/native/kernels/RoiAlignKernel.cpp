//===- RoiAlignKernel.cpp - regions of images, sampled between pixels -----===//
//
// A task is some channels of one region: they share the places and weights of the samples.
// Where a region is much larger than the image, samples that are certain to lie outside
// are not gone through.
//
//===----------------------------------------------------------------------===//
#include "backends/native/kernels/RoiAlignKernel.h"

#include "backends/native/kernels/IndexedKernels.h"
#include "backends/native/target/TileChoice.h"
#include "ir/ScalarEmitter.h"
#include "runtime/values/CeilDiv.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <bit>
#include <limits>

using namespace mlir;
using namespace quern;
using namespace quern::native;

namespace {
enum RoiDim {
  kImages,
  kChannels,
  kHeight,
  kWidth,
  kOutHeight,
  kOutWidth,
  kSamples,
  kScale,
  kChunks
};
enum RoiBuffer { kInput, kRois, kNumbers, kResult };
/// Channels that are pooled side by side.
constexpr int64_t kSide = 8;

/// One axis of one region, in float64: where it begins, the size of a bin, its samples.
struct Axis {
  Value begin, bin, samples, isBad;
  Value input, output;
};
/// The samples of one bin that may lie on the image.
struct BinRange {
  Value first, last;
};
/// The pixels around a sample, and their weights.
struct Neighbours {
  Value low, high, weightLow, weightHigh;
};

class RoiEmitter {
public:
  RoiEmitter(KernelBuilder &kb, const RoiAlignSpec &spec)
      : kb(kb), spec(spec), stored(kb.builder(), kb.loc(), spec.dtype, 0),
        e(kb.builder(), kb.loc(), DType::Float64, 0),
        ints(kb.builder(), kb.loc(), DType::Int64, 0) {}
  void emit() {
    kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) { emitTask(task); });
  }

private:
  using Values = KernelBuilder::Values;
  Value real(Value i) { return ints.castTo(i, DType::Float64); }
  /// The integer part of what is in the range of int64.
  Value whole(Value x) {
    return kb.builder().create<arith::FPToSIOp>(kb.loc(), kb.builder().getI64Type(), x);
  }
  Value loadReal(Value base, Value at) {
    return stored.castTo(kb.load(kb.advance(base, at, spec.dtype), spec.dtype, 0), DType::Float64);
  }

  Axis axisOf(Value roi, int64_t number, RoiDim input, RoiDim output);
  BinRange rangeOf(const Axis &axis, Value bin);
  Neighbours neighboursOf(const Axis &axis, Value bin, Value sample);
  Values addSample(Value image, const Values &places, const Neighbours &v, const Neighbours &h,
                   ValueRange sums);
  void emitBins(Value image, Value to, const Axis &y, const Axis &x, int64_t channels);
  void emitTask(Value task);

  KernelBuilder &kb;
  const RoiAlignSpec &spec;
  nn::ScalarEmitter stored, e, ints;
};
} // namespace

Axis RoiEmitter::axisOf(Value roi, int64_t number, RoiDim input, RoiDim output) {
  OpBuilder &ops = kb.builder();
  Value scale = ops.create<arith::BitcastOp>(kb.loc(), ops.getF64Type(), kb.dim(kScale));
  Value offset = e.constant(spec.halfPixel ? 0.5 : 0.0);
  auto corner = [&](int64_t at) {
    return e.sub(e.mul(loadReal(roi, kb.index(at)), scale), offset);
  };
  Axis axis;
  axis.input = kb.dim(input);
  axis.output = kb.dim(output);
  axis.begin = corner(number);
  Value size = e.sub(corner(number + 2), axis.begin);
  if (!spec.halfPixel)
    size = e.atLeast(size, 1);
  axis.bin = e.div(size, real(axis.output));
  // NaN is not less than anything.
  axis.isBad =
      e.logicalNot(e.less(e.abs(axis.begin), e.constant(std::numeric_limits<double>::infinity())));
  axis.samples = kb.dim(kSamples);
  if (spec.perPixel) {
    // Rounded up; NaN has none.
    Value zero = e.constant(0), positive = e.select(e.less(zero, axis.bin), axis.bin, zero);
    Value tooMany = e.less(e.constant(std::numeric_limits<int32_t>::max()), positive);
    axis.isBad = e.logicalOr(axis.isBad, tooMany);
    positive = e.select(axis.isBad, zero, positive);
    Value down = whole(positive);
    axis.samples = e.select(e.less(real(down), positive), kb.add(down, 1), down);
  }
  axis.samples = e.select(axis.isBad, kb.index(0), axis.samples);
  return axis;
}

BinRange RoiEmitter::rangeOf(const Axis &axis, Value bin) {
  if (!spec.perPixel)
    return {kb.index(0), axis.samples};
  Value samples = real(axis.samples), zero = e.constant(0);
  Value step = e.div(axis.bin, samples);
  Value start = e.add(axis.begin, e.mul(real(bin), axis.bin));
  // With a margin for rounding: neighboursOf looks at each sample.
  auto countTo = [&](Value limit, double margin) {
    Value count = e.add(e.div(e.sub(limit, start), step), e.constant(margin));
    count = e.select(e.less(zero, count), count, zero);
    return whole(e.select(e.less(count, samples), count, samples));
  };
  return {countTo(e.constant(-1), -3), countTo(real(axis.input), 3)};
}

Neighbours RoiEmitter::neighboursOf(const Axis &axis, Value bin, Value sample) {
  Value one = e.constant(1), zero = e.constant(0), none = kb.index(0);
  Value last = kb.sub(axis.input, kb.index(1));
  Value within = e.div(e.mul(e.add(real(sample), e.constant(0.5)), axis.bin), real(axis.samples));
  Value x = e.add(e.add(axis.begin, e.mul(real(bin), axis.bin)), within);
  Value inside = e.logicalAnd(e.lessOrEqual(e.constant(-1), x), e.lessOrEqual(x, real(axis.input)));
  x = e.select(inside, x, zero);
  x = e.select(e.less(x, zero), zero, x);
  x = e.select(e.less(real(last), x), real(last), x);
  Value low = whole(x), t = e.sub(x, real(low));
  Value high = e.select(inside, kb.minSigned(kb.add(low, 1), last), none);
  return {low, high, e.select(inside, e.sub(one, t), zero), e.select(inside, t, zero)};
}

/// Takes one sample into the sums, or maxima, of each channel; `places` is where their
/// pixels are.
RoiEmitter::Values RoiEmitter::addSample(Value image, const Values &places, const Neighbours &v,
                                         const Neighbours &h, ValueRange sums) {
  Value rows[2] = {kb.mul(v.low, kb.dim(kWidth)), kb.mul(v.high, kb.dim(kWidth))};
  Value rowWeights[2] = {v.weightLow, v.weightHigh}, columns[2] = {h.low, h.high},
        columnWeights[2] = {h.weightLow, h.weightHigh};
  Values next(sums);
  Values total(spec.isMax ? 0 : sums.size());
  for (int i = 0; i < 4; ++i) {
    Value weight = e.mul(rowWeights[i / 2], columnWeights[i % 2]);
    Value at = kb.add(rows[i / 2], columns[i % 2]);
    for (size_t c = 0; c < places.size(); ++c) {
      Value part = e.mul(weight, loadReal(image, kb.add(places[c], at)));
      if (spec.isMax)
        next[c] = e.select(e.less(next[c], part), part, next[c]);
      else
        total[c] = i == 0 ? part : e.add(total[c], part);
    }
  }
  for (size_t c = 0; c < total.size(); ++c)
    next[c] = e.add(next[c], total[c]);
  return next;
}

/// All bins of `channels` channels from those at `image` on.
void RoiEmitter::emitBins(Value image, Value to, const Axis &y, const Axis &x, int64_t channels) {
  Value plane = kb.mul(kb.dim(kHeight), kb.dim(kWidth)), bins = kb.mul(y.output, x.output);
  Values places;
  for (int64_t c = 0; c < channels; ++c)
    places.push_back(kb.mul(plane, c));
  Value samples = kb.mul(y.samples, x.samples);
  kb.forLoop(kb.index(0), y.output, 1, [&](Value binY) {
    BinRange rangeY = rangeOf(y, binY);
    kb.forLoop(kb.index(0), x.output, 1, [&](Value binX) {
      BinRange rangeX = rangeOf(x, binX);
      Value start = e.constant(0);
      if (spec.isMax) { // a sample outside counts as 0
        Value seen = kb.mul(kb.sub(rangeY.last, rangeY.first), kb.sub(rangeX.last, rangeX.first));
        Value isWhole = e.logicalAnd(ints.equal(seen, samples), ints.less(kb.index(0), samples));
        start = e.select(isWhole, e.constant(-std::numeric_limits<double>::infinity()), start);
      }
      Values sums(static_cast<size_t>(channels), start);
      sums = kb.forLoop(rangeY.first, rangeY.last, 1, sums, [&](Value sy, ValueRange ofRows) {
        Neighbours v = neighboursOf(y, binY, sy);
        return kb.forLoop(rangeX.first, rangeX.last, 1, ofRows, [&](Value sx, ValueRange ofRow) {
          return addSample(image, places, v, neighboursOf(x, binX, sx), ofRow);
        });
      });
      Value count = real(kb.maxSigned(samples, kb.index(1)));
      Value at = kb.add(kb.mul(binY, x.output), binX);
      for (int64_t c = 0; c < channels; ++c) {
        Value value = spec.isMax ? sums[c] : e.div(sums[c], count);
        kb.store(e.castTo(value, spec.dtype),
                 kb.advance(to, kb.add(at, kb.mul(bins, c)), spec.dtype), spec.dtype, 0);
      }
    });
  });
}

void RoiEmitter::emitTask(Value task) {
  Value region = kb.div(task, kb.dim(kChunks));
  Value channel = kb.mul(kb.rem(task, kb.dim(kChunks)), kSide);
  CheckedIndex image = loadIndex(kb, kb.advance(kb.buffer(kNumbers), region, spec.indexType),
                                 spec.indexType, kb.dim(kImages));
  Value roi = kb.advance(kb.buffer(kRois), kb.mul(region, 4), spec.dtype);
  Axis x = axisOf(roi, 0, kWidth, kOutWidth), y = axisOf(roi, 1, kHeight, kOutHeight);
  kb.trapIf(e.logicalOr(image.isOutside, e.logicalOr(x.isBad, y.isBad)), TrapCode::IndexOutOfRange);
  Value plane = kb.mul(kb.dim(kHeight), kb.dim(kWidth)), bins = kb.mul(y.output, x.output);
  auto emitAt = [&](Value c, int64_t channels) {
    Value from = kb.mul(kb.add(kb.mul(image.index, kb.dim(kChannels)), c), plane);
    Value to = kb.mul(kb.add(kb.mul(region, kb.dim(kChannels)), c), bins);
    emitBins(kb.advance(kb.buffer(kInput), from, spec.dtype),
             kb.advance(kb.buffer(kResult), to, spec.dtype), y, x, channels);
  };
  Value left = kb.sub(kb.dim(kChannels), channel);
  kb.ifThen(
      kb.lessThan(left, kb.index(kSide)),
      [&] { kb.forLoop(channel, kb.dim(kChannels), 1, [&](Value c) { emitAt(c, 1); }); },
      [&] { emitAt(channel, kSide); });
}

void RoiAlignSpec::emit(KernelBuilder &kb) const { RoiEmitter(kb, *this).emit(); }

LoweredStep native::poolRegions(const RoiAlignSpec &spec, const RoiAlignShape &s, StepBuffer input,
                                StepBuffer rois, StepBuffer images, StepBuffer result) {
  LoweredStep step;
  step.buffers = {std::move(input), std::move(rois), std::move(images), std::move(result)};
  int64_t chunks = ceilDiv(s.channels, kSide);
  step.dims = {s.images,    s.channels, s.height,  s.width,
               s.outHeight, s.outWidth, s.samples, std::bit_cast<int64_t>(s.scale),
               chunks};
  step.tasks = s.regions * chunks;
  // Four samples of four pixels each are common.
  int64_t taskBytes = s.outHeight * s.outWidth * kSide * 16 * dtypeBytes(spec.dtype);
  step.grain = chooseMoveGrain(taskBytes);
  step.kernel = kernelOf(spec);
  return step;
}
