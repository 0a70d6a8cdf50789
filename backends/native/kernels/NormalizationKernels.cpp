//===- NormalizationKernels.cpp - instance, layer, local response norms ---===//
#include "backends/native/kernels/NormalizationKernels.h"

#include "backends/native/kernels/RowReduction.h"
#include "ir/ScalarEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;

//===----------------------------------------------------------------------===//
// Moments
//===----------------------------------------------------------------------===//

namespace {
/// Of the elements of a row; the variance is about the mean, which is null when it counts as 0.
struct Moments {
  Value mean, variance;
};
} // namespace

/// x - mean, in `lanes` lanes.
static Value centered(KernelBuilder &kb, Value x, Value mean, DType dtype, int64_t lanes) {
  nn::ScalarEmitter e(kb.builder(), kb.loc(), dtype, lanes);
  return mean ? e.sub(x, kb.splat(mean, lanes)) : x;
}

static Moments emitMoments(KernelBuilder &kb, Value row, Value length, DType dtype, bool center) {
  OpBuilder &ops = kb.builder();
  nn::ScalarEmitter scalar(ops, kb.loc(), dtype, 0);
  Type type = nn::registerType(ops.getContext(), dtype, 0);
  Value count = ops.create<arith::SIToFPOp>(kb.loc(), type, length), mean;
  if (center)
    mean = scalar.div(reduceRow(kb, {row, length, dtype}, Combine::Add,
                                [](Value x, Value, int64_t, Value) { return x; }),
                      count);
  Value squares =
      reduceRow(kb, {row, length, dtype}, Combine::Add, [&](Value x, Value, int64_t lanes, Value) {
        Value distance = centered(kb, x, mean, dtype, lanes);
        return nn::ScalarEmitter(ops, kb.loc(), dtype, lanes).mul(distance, distance);
      });
  return {mean, scalar.div(squares, count)};
}

//===----------------------------------------------------------------------===//
// Instance normalization
//===----------------------------------------------------------------------===//

namespace {
/// What x becomes: (x - mean) * factor + bias.
struct Normal {
  Value mean, factor, bias;
};
} // namespace

static void emitInstanceNorm(KernelBuilder &kb, const InstanceNormSpec &spec) {
  OpBuilder &ops = kb.builder();
  DType dtype = spec.dtype;
  Value plane = kb.dim(&InstanceNormDims::plane);
  nn::ScalarEmitter scalar(ops, kb.loc(), dtype, 0);
  KernelBuilder::Values operands = epilogueBuffers(kb, spec.epilogue, 4);
  kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) {
    Value offset = kb.mul(task, plane);
    Value channel = kb.rem(task, kb.dim(&InstanceNormDims::channels));
    auto parameter = [&](int64_t buffer) {
      return kb.load(kb.advance(kb.buffer(buffer), channel, dtype), dtype, 0);
    };
    Value input = kb.advance(kb.buffer(0), offset, dtype);
    Moments moments = emitMoments(kb, input, plane, dtype, /*center=*/true);
    Value variance = scalar.add(moments.variance, scalar.constant(spec.epsilon));
    Value factor = scalar.div(parameter(1), scalar.sqrt(variance)), bias = parameter(2);
    forEachVector(kb, plane, dtype, [&](Value at, int64_t lanes, Value active) {
      Value x = kb.load(kb.advance(input, at, dtype), dtype, lanes, active);
      Value y = kb.multiplyAdd(centered(kb, x, moments.mean, dtype, lanes), kb.splat(factor, lanes),
                               kb.splat(bias, lanes));
      emitEpilogue(kb, spec.epilogue, y, operands, {kb.add(offset, at), channel, {}}, lanes,
                   kb.buffer(3), active);
    });
  });
}

namespace {
/// The instance normalization of blocks of channels. Chunks of pixels that the first cache holds
/// are gone over twice, for their mean and for the sum of squares about it, and put together (T.
/// Chan, G. Golub, R. LeVeque, "Updating formulae and a pairwise algorithm for computing sample
/// variances", 1979): memory is read once.
class BlockedInstanceNorm {
public:
  BlockedInstanceNorm(KernelBuilder &kb, const InstanceNormSpec &spec)
      : kb(kb), spec(spec), dtype(spec.dtype), block(spec.block),
        lanes(std::min(block, kb.target().lanes(dtype))), e(kb.builder(), kb.loc(), dtype, lanes) {}
  void emit();

private:
  /// Of so many pixels the mean, and the sum of squares about it.
  struct Partial {
    Value mean, squares;
  };
  /// A plane, its first element, and the pixels of it that are the task's.
  struct Task {
    Value number, plane, planeOffset, from, count;
  };

  Value toFloat(Value integer) {
    Type number = nn::registerType(kb.builder().getContext(), dtype, 0);
    return kb.splat(kb.builder().create<arith::SIToFPOp>(kb.loc(), number, integer), lanes);
  }
  Value zero() { return kb.floatConstant(dtype, lanes, 0); }
  int64_t momentsBuffer() const {
    return spec.stage == InstanceNormStage::Moments
               ? 1
               : 4 + static_cast<int64_t>(spec.epilogue.access.size());
  }
  Value momentsOf(Value task, int64_t lane, int64_t which) {
    Value at = kb.add(kb.mul(task, 2 * block), which * block + lane);
    return kb.advance(kb.buffer(momentsBuffer()), at, dtype);
  }
  Partial joined(const Partial &before, Value pixelsBefore, const Partial &next, Value pixels);
  /// Of `count` pixels, each `block` elements behind the one before.
  Partial computed(Value pixels, Value count);
  /// Of the whole plane.
  Partial ofPlane(const Task &task, int64_t lane);
  void normalize(const Task &task);

  KernelBuilder &kb;
  const InstanceNormSpec &spec;
  DType dtype;
  int64_t block, lanes;
  nn::ScalarEmitter e;
};
} // namespace

BlockedInstanceNorm::Partial BlockedInstanceNorm::joined(const Partial &before, Value pixelsBefore,
                                                         const Partial &next, Value pixels) {
  Value share = e.div(toFloat(pixels), toFloat(kb.add(pixelsBefore, pixels)));
  Value distance = e.sub(next.mean, before.mean);
  Value weight = e.mul(e.mul(distance, distance), e.mul(share, toFloat(pixelsBefore)));
  return {kb.multiplyAdd(distance, share, before.mean),
          e.add(before.squares, e.add(next.squares, weight))};
}

BlockedInstanceNorm::Partial BlockedInstanceNorm::computed(Value pixels, Value count) {
  constexpr int64_t kChunk = 256;
  KernelBuilder::Values sums =
      kb.forLoop(kb.index(0), count, kChunk, {zero(), zero()}, [&](Value at, ValueRange so) {
        Value size = kb.minSigned(kb.index(kChunk), kb.sub(count, at));
        ColumnRange chunk{
            kb.advance(pixels, kb.mul(at, block), dtype), size, kb.index(block), dtype, lanes, {}};
        Value mean = e.div(reduceColumns(kb, chunk, Combine::Add,
                                         [](Value x, Value, int64_t, Value) { return x; }),
                           toFloat(size));
        Value squares = reduceColumns(kb, chunk, Combine::Add, [&](Value x, Value, int64_t, Value) {
          Value distance = e.sub(x, mean);
          return e.mul(distance, distance);
        });
        Partial all = joined({so[0], so[1]}, at, {mean, squares}, size);
        return KernelBuilder::Values{all.mean, all.squares};
      });
  return {sums[0], sums[1]};
}

BlockedInstanceNorm::Partial BlockedInstanceNorm::ofPlane(const Task &task, int64_t lane) {
  Value plane = kb.dim(&InstanceNormDims::plane), parts = kb.dim(&InstanceNormDims::parts);
  if (spec.stage == InstanceNormStage::All)
    return computed(kb.advance(kb.buffer(0), kb.add(task.planeOffset, lane), dtype), plane);
  Value ofPart = kb.dim(&InstanceNormDims::partPixels), first = kb.mul(task.plane, parts);
  KernelBuilder::Values sums =
      kb.forLoop(kb.index(0), parts, 1, {zero(), zero()},
                 [&](Value part, ValueRange so) -> KernelBuilder::Values {
                   Value before = kb.mul(part, ofPart), number = kb.add(first, part);
                   Partial next{kb.load(momentsOf(number, lane, 0), dtype, lanes),
                                kb.load(momentsOf(number, lane, 1), dtype, lanes)};
                   Partial all = joined({so[0], so[1]}, before, next,
                                        kb.minSigned(ofPart, kb.sub(plane, before)));
                   return {all.mean, all.squares};
                 });
  return {sums[0], sums[1]};
}

void BlockedInstanceNorm::normalize(const Task &task) {
  Value first = kb.mul(kb.rem(task.plane, kb.dim(&InstanceNormDims::planes)), block);
  Value pixels = toFloat(kb.dim(&InstanceNormDims::plane));
  KernelBuilder::Values operands = epilogueBuffers(kb, spec.epilogue, 4);
  SmallVector<Normal> normals;
  ResultRow columns;
  columns.areAdjacent = true;
  for (int64_t lane = 0; lane < block; lane += lanes) {
    Value channel = kb.add(first, lane);
    // Those beside the channels, if any, have no parameters.
    Value active = kb.minSigned(
        kb.maxSigned(kb.sub(kb.dim(&InstanceNormDims::channels), channel), kb.index(0)),
        kb.index(lanes));
    auto parameter = [&](int64_t buffer) {
      return kb.load(kb.advance(kb.buffer(buffer), channel, dtype), dtype, lanes, active);
    };
    Partial all = ofPlane(task, lane);
    Value variance = e.div(all.squares, pixels);
    Value deviation = e.sqrt(e.add(variance, kb.floatConstant(dtype, lanes, spec.epsilon)));
    normals.push_back({all.mean, e.div(parameter(1), deviation), parameter(2)});
    columns.at.push_back(
        {kb.add(kb.add(task.planeOffset, kb.mul(task.from, block)), lane), {}, channel});
    columns.active.push_back({});
  }
  SharedOperands shared = loadShared(kb, spec.epilogue, operands, columns, lanes);
  kb.forLoop(kb.index(0), task.count, 1, [&](Value pixel) {
    ResultRow row = columns;
    KernelBuilder::Values results;
    Value distance = kb.mul(pixel, block);
    for (auto [normal, at] : llvm::zip_equal(normals, row.at)) {
      at.element = kb.add(at.element, distance);
      Value x = kb.load(kb.advance(kb.buffer(0), at.element, dtype), dtype, lanes);
      results.push_back(kb.multiplyAdd(e.sub(x, normal.mean), normal.factor, normal.bias));
    }
    emitEpilogueOfRow(kb, spec.epilogue, results, operands, row, lanes, kb.buffer(3), shared);
  });
}

void BlockedInstanceNorm::emit() {
  Value plane = kb.dim(&InstanceNormDims::plane);
  kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value number) {
    Task task{number, number, {}, kb.index(0), plane};
    if (spec.stage != InstanceNormStage::All) {
      Value parts = kb.dim(&InstanceNormDims::parts),
            ofPart = kb.dim(&InstanceNormDims::partPixels);
      task.plane = kb.div(number, parts);
      task.from = kb.mul(kb.rem(number, parts), ofPart);
      task.count = kb.minSigned(ofPart, kb.sub(plane, task.from));
    }
    task.planeOffset = kb.mul(kb.mul(task.plane, plane), block);
    if (spec.stage != InstanceNormStage::Moments)
      return normalize(task);
    Value begin = kb.add(task.planeOffset, kb.mul(task.from, block));
    for (int64_t lane = 0; lane < block; lane += lanes) {
      Partial found = computed(kb.advance(kb.buffer(0), kb.add(begin, lane), dtype), task.count);
      kb.store(found.mean, momentsOf(number, lane, 0), dtype, lanes);
      kb.store(found.squares, momentsOf(number, lane, 1), dtype, lanes);
    }
  });
}

void InstanceNormSpec::emit(KernelBuilder &kb) const {
  block > 0 ? BlockedInstanceNorm(kb, *this).emit() : emitInstanceNorm(kb, *this);
}

//===----------------------------------------------------------------------===//
// Layer normalization
//===----------------------------------------------------------------------===//

static void emitLayerNorm(KernelBuilder &kb, const LayerNormSpec &spec) {
  OpBuilder &ops = kb.builder();
  DType dtype = spec.dtype;
  int64_t buffer = 1;
  Value scale = spec.hasScale ? kb.buffer(buffer++) : Value();
  Value bias = spec.hasBias ? kb.buffer(buffer++) : Value();
  Value length = kb.dim(&LayerNormDims::length), result = kb.buffer(buffer++);
  KernelBuilder::Values operands = epilogueBuffers(kb, spec.epilogue, buffer);
  nn::ScalarEmitter scalar(ops, kb.loc(), dtype, 0);
  kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) {
    Value offset = kb.mul(task, length);
    Value input = kb.advance(kb.buffer(0), offset, dtype);
    Moments moments = emitMoments(kb, input, length, dtype, spec.center);
    Value variance = scalar.add(moments.variance, scalar.constant(spec.epsilon));
    Value factor = scalar.div(scalar.constant(1), scalar.sqrt(variance));
    forEachVector(kb, length, dtype, [&](Value at, int64_t lanes, Value active) {
      nn::ScalarEmitter e(ops, kb.loc(), dtype, lanes);
      auto load = [&](Value from) {
        return kb.load(kb.advance(from, at, dtype), dtype, lanes, active);
      };
      Value y =
          e.mul(centered(kb, load(input), moments.mean, dtype, lanes), kb.splat(factor, lanes));
      if (scale && bias)
        y = kb.multiplyAdd(y, load(scale), load(bias));
      else if (scale)
        y = e.mul(y, load(scale));
      else if (bias)
        y = e.add(y, load(bias));
      emitEpilogue(kb, spec.epilogue, y, operands, {kb.add(offset, at), task, at}, lanes, result,
                   active);
    });
  });
}

void LayerNormSpec::emit(KernelBuilder &kb) const { emitLayerNorm(kb, *this); }

//===----------------------------------------------------------------------===//
// Local response normalization
//===----------------------------------------------------------------------===//

/// base ** beta; the usual 0.75 by two square roots.
static Value emitLrnPower(KernelBuilder &kb, const LrnSpec &spec, Value base, int64_t lanes) {
  OpBuilder &ops = kb.builder();
  auto sqrt = [&](Value v) -> Value { return ops.create<math::SqrtOp>(kb.loc(), v); };
  if (spec.beta == 1)
    return base;
  if (spec.beta == 0.5)
    return sqrt(base);
  if (spec.beta == 0.75) {
    Value root = sqrt(base);
    return ops.create<arith::MulFOp>(kb.loc(), root, sqrt(root));
  }
  return ops.create<math::PowFOp>(kb.loc(), base, kb.floatConstant(spec.dtype, lanes, spec.beta));
}

/// What x is divided by for a sum of squares.
static Value emitLrnDivisor(KernelBuilder &kb, const LrnSpec &spec, Value squares, int64_t lanes) {
  Value base = kb.multiplyAdd(squares, kb.floatConstant(spec.dtype, lanes, spec.alpha),
                              kb.floatConstant(spec.dtype, lanes, spec.bias));
  return emitLrnPower(kb, spec, base, lanes);
}

static void emitPlainLrn(KernelBuilder &kb, const LrnSpec &spec) {
  OpBuilder &ops = kb.builder();
  DType dtype = spec.dtype;
  kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) {
    auto dim = [&](int64_t LrnDims::*member) { return kb.dim(member); };
    Value plane = dim(&LrnDims::plane);
    Value begin = kb.mul(kb.rem(task, dim(&LrnDims::chunks)), dim(&LrnDims::chunk));
    Value count = kb.minSigned(dim(&LrnDims::chunk), kb.sub(plane, begin));
    Value image = kb.div(task, dim(&LrnDims::chunks)); // times channels, plus the channel
    Value channel = kb.rem(image, dim(&LrnDims::channels));
    Value first = kb.maxSigned(kb.sub(channel, dim(&LrnDims::before)), kb.index(0));
    Value end =
        kb.minSigned(kb.add(channel, kb.add(dim(&LrnDims::after), 1)), dim(&LrnDims::channels));
    Value offset = kb.add(kb.mul(image, plane), begin);
    Value window = kb.sub(offset, kb.mul(kb.sub(channel, first), plane));
    forEachVector(kb, count, dtype, [&](Value at, int64_t lanes, Value active) {
      ColumnRange columns{kb.advance(kb.buffer(0), kb.add(window, at), dtype),
                          kb.sub(end, first),
                          plane,
                          dtype,
                          lanes,
                          active};
      Value squares =
          reduceColumns(kb, columns, Combine::Add, [&](Value x, Value, int64_t, Value) -> Value {
            return ops.create<arith::MulFOp>(kb.loc(), x, x);
          });
      Value here = kb.add(offset, at);
      Value x = kb.load(kb.advance(kb.buffer(0), here, dtype), dtype, lanes, active);
      Value y = ops.create<arith::DivFOp>(kb.loc(), x, emitLrnDivisor(kb, spec, squares, lanes));
      kb.store(y, kb.advance(kb.buffer(1), here, dtype), dtype, lanes, active);
    });
  });
}

/// Pixels whose squares are in scratch memory at a time: stores are done when they are read across
/// the borders of vectors.
static constexpr int64_t kPixelsOfGroup = 8;

int64_t LrnDims::bytesOfSquares() const {
  return kPixelsOfGroup * (before + channels + after) * dtypeBytes(DType::Float32);
}

namespace {
/// The squares of a pixel's channels lie side by side, with zeros around them: a window is so many
/// vectors that begin one element apart.
class BlockedLrn {
public:
  BlockedLrn(KernelBuilder &kb, const LrnSpec &spec)
      : kb(kb), spec(spec), lanes(std::min(kb.target().lanes(spec.dtype), spec.block)) {}

  void emit() {
    squaresOfPixel = kb.add(dim(&LrnDims::channels), spec.before + spec.after);
    kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) { emitTask(task); });
  }

private:
  void emitTask(Value task) {
    Value zero = kb.floatConstant(spec.dtype, lanes, 0),
          all = kb.mul(squaresOfPixel, kPixelsOfGroup);
    kb.forLoop(kb.index(0), all, lanes, [&](Value at) {
      Value rest = kb.minSigned(kb.sub(all, at), kb.index(lanes));
      kb.store(zero, squareAt(at), spec.dtype, lanes, rest);
    });
    Value plane = dim(&LrnDims::plane), chunk = dim(&LrnDims::chunk);
    Value image =
        kb.mul(kb.div(task, dim(&LrnDims::chunks)), kb.mul(plane, dim(&LrnDims::channels)));
    Value from = kb.mul(kb.rem(task, dim(&LrnDims::chunks)), chunk);
    Value to = kb.minSigned(kb.add(from, chunk), plane);
    kb.forLoop(from, to, kPixelsOfGroup, [&](Value first) {
      Value end = kb.minSigned(kb.add(first, kPixelsOfGroup), to);
      overVectors(image, first, end, [&](Value element, Value square) {
        Value x = kb.load(kb.advance(kb.buffer(0), element, spec.dtype), spec.dtype, lanes);
        kb.store(multiply(x, x), squareAt(kb.add(square, spec.before)), spec.dtype, lanes);
      });
      overVectors(image, first, end, [&](Value element, Value square) {
        Value sum = sumOfWindow(square);
        Value x = kb.load(kb.advance(kb.buffer(0), element, spec.dtype), spec.dtype, lanes);
        Value y =
            kb.builder().create<arith::DivFOp>(kb.loc(), x, emitLrnDivisor(kb, spec, sum, lanes));
        kb.store(y, kb.advance(kb.buffer(1), element, spec.dtype), spec.dtype, lanes);
      });
    });
  }

  /// Calls `body` for each vector of the pixels [first, end) of the image that begins at `image`,
  /// with where it is and where its squares are without those before the channels.
  void overVectors(Value image, Value first, Value end,
                   llvm::function_ref<void(Value element, Value square)> body) {
    Value blocks = kb.div(dim(&LrnDims::channels), kb.index(spec.block));
    kb.forLoop(kb.index(0), blocks, 1, [&](Value block) {
      Value ofBlock = kb.add(image, kb.mul(kb.mul(block, dim(&LrnDims::plane)), spec.block));
      kb.forLoop(first, end, 1, [&](Value pixel) {
        Value element = kb.add(ofBlock, kb.mul(pixel, spec.block));
        Value square =
            kb.add(kb.mul(kb.sub(pixel, first), squaresOfPixel), kb.mul(block, spec.block));
        for (int64_t lane = 0; lane < spec.block; lane += lanes)
          body(kb.add(element, lane), kb.add(square, lane));
      });
    });
  }

  /// Of the windows whose first squares begin at `square`.
  Value sumOfWindow(Value square) {
    constexpr int64_t kMostUnrolled = 9;
    int64_t taps = spec.before + 1 + spec.after;
    Value none = kb.floatConstant(spec.dtype, lanes, 0);
    auto addTap = [&](Value tap, Value sum) -> Value {
      Value squares = kb.load(squareAt(kb.add(square, tap)), spec.dtype, lanes);
      return kb.builder().create<arith::AddFOp>(kb.loc(), sum, squares);
    };
    if (taps > kMostUnrolled)
      return kb
          .forLoop(kb.index(0), kb.index(taps), 1, {none},
                   [&](Value tap, ValueRange sums) -> KernelBuilder::Values {
                     return {addTap(tap, sums.front())};
                   })
          .front();
    Value sum = none;
    for (int64_t tap = 0; tap < taps; ++tap)
      sum = addTap(kb.index(tap), sum);
    return sum;
  }

  Value dim(int64_t LrnDims::*member) { return kb.dim(member); }
  Value squareAt(Value place) { return kb.advance(kb.scratch(), place, spec.dtype); }
  Value multiply(Value a, Value b) { return kb.builder().create<arith::MulFOp>(kb.loc(), a, b); }

  KernelBuilder &kb;
  const LrnSpec &spec;
  const int64_t lanes;
  Value squaresOfPixel;
};
} // namespace

void LrnSpec::emit(KernelBuilder &kb) const {
  if (block > 0)
    BlockedLrn(kb, *this).emit();
  else
    emitPlainLrn(kb, *this);
}
