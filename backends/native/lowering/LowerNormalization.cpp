//===- LowerNormalization.cpp - normalizations ----------------------------===//
//
// Batch normalization is a map. Instance normalization works on the plane of a
// channel at a time, layer normalization on a row; local response normalization on
// a line of pixels of one channel, whose neighbours in the other channels lie a plane
// apart.
//
//===----------------------------------------------------------------------===//
#include "backends/native/kernels/MapKernel.h"
#include "backends/native/kernels/RowReduction.h"
#include "backends/native/lowering/LoweringTable.h"
#include "backends/native/target/TileChoice.h"
#include "backends/plan/ShapeEnvironment.h"
#include "ir/NNDialect.h"
#include "ir/ScalarEmitter.h"
#include "runtime/values/CeilDiv.h"
#include "runtime/values/Strides.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/StringExtras.h"

#include <bit>

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::plan;

namespace {
/// [batch, channels, plane] of a tensor whose channels are dimension 1.
struct ChannelShape {
  int64_t batch = 1, channels = 1, plane = 1;
  int64_t elements() const { return batch * channels * plane; }
};
} // namespace

static ChannelShape channelShapeOf(ArrayRef<int64_t> sizes) {
  ChannelShape shape;
  shape.batch = sizes[0];
  if (sizes.size() < 2)
    return shape;
  shape.channels = sizes[1];
  shape.plane = productOf(sizes.drop_front(2));
  return shape;
}

/// Why no normalization is native for the elements of `op`, if none is.
static std::optional<Reason> refuseNormalization(Operation *op) {
  DType dtype = dtypeOfValue(op->getOperand(0));
  if (dtype == DType::Float32 || dtype == DType::Float64)
    return std::nullopt;
  return Reason{ReasonCode::ElementType,
                "no native normalization of " + std::string(dtypeName(dtype))};
}

static std::string keyOf(double v) { return llvm::utohexstr(std::bit_cast<uint64_t>(v)); }

//===----------------------------------------------------------------------===//
// Batch normalization
//===----------------------------------------------------------------------===//

/// (x - mean) / sqrt(variance + epsilon) * scale + bias on inputs 0 to 4: x,
/// scale, bias, mean, variance.
static ScalarProgram batchNormProgram(DType dtype, double epsilon) {
  ScalarProgram program;
  program.inputs.assign(5, dtype);
  auto append = [&](llvm::StringLiteral name, SmallVector<int, 3> args, double value = 0) {
    ScalarProgram::Op op;
    op.name = name;
    op.args = std::move(args);
    op.operandType = op.resultType = dtype;
    op.floatValue = value;
    program.ops.push_back(std::move(op));
    return static_cast<int>(program.inputs.size() + program.ops.size()) - 1;
  };
  int shifted = append("nn.add", {4, append("constant", {}, epsilon)});
  int deviation = append("nn.sqrt", {shifted});
  int normal = append("nn.div", {append("nn.sub", {0, 3}), deviation});
  program.results = {append("nn.add", {append("nn.mul", {normal, 1}), 2})};
  return program;
}

LoweringResult native::lower(nn::BatchNormOp op, const LoweringContext &context) {
  if (std::optional<Reason> reason = refuseNormalization(op))
    return *reason;
  DType dtype = dtypeOfValue(op.getInput());
  ChannelShape shape = channelShapeOf(context.sizesOf(op.getInput()));
  MapProblem problem;
  problem.name = "batch_norm";
  problem.sizes = {shape.batch, shape.channels, shape.plane};
  Sizes strides = rowMajorStrides<Sizes>(problem.sizes);
  problem.inputs.push_back({StepBuffer::of(op.getInput()), dtype, strides});
  for (Value v : {op.getScale(), op.getBias(), op.getMean(), op.getVariance()}) {
    if (dtypeOfValue(v) != dtype)
      return Reason{ReasonCode::ElementType, "batch normalization of mixed types"};
    problem.inputs.push_back({StepBuffer::of(v), dtype, {0, 1, 0}});
  }
  problem.outputs.push_back({StepBuffer::of(op.getResult()), dtype, strides});
  problem.program = batchNormProgram(dtype, op.getEpsilon().convertToDouble());
  LoweredSteps lowered;
  appendMap(std::move(problem), lowered);
  return lowered;
}

//===----------------------------------------------------------------------===//
// Instance and layer normalization
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
    mean = scalar.div(reduceRow(kb, row, length, dtype, Combine::Add,
                                [](Value x, Value, int64_t, Value) { return x; }),
                      count);
  Value squares =
      reduceRow(kb, row, length, dtype, Combine::Add, [&](Value x, Value, int64_t lanes, Value) {
        Value distance = centered(kb, x, mean, dtype, lanes);
        return nn::ScalarEmitter(ops, kb.loc(), dtype, lanes).mul(distance, distance);
      });
  return {mean, scalar.div(squares, count)};
}

/// Buffers: input, scale, bias, result. Dims: channels, plane. A task is a plane.
static void emitInstanceNorm(KernelBuilder &kb, DType dtype, double epsilon) {
  OpBuilder &ops = kb.builder();
  Value plane = kb.dim(1);
  nn::ScalarEmitter scalar(ops, kb.loc(), dtype, 0);
  kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) {
    Value offset = kb.mul(task, plane), channel = kb.rem(task, kb.dim(0));
    auto parameter = [&](int64_t buffer) {
      return kb.load(kb.advance(kb.buffer(buffer), channel, dtype), dtype, 0);
    };
    Value input = kb.advance(kb.buffer(0), offset, dtype);
    Value output = kb.advance(kb.buffer(3), offset, dtype);
    Moments moments = emitMoments(kb, input, plane, dtype, /*center=*/true);
    Value variance = scalar.add(moments.variance, scalar.constant(epsilon));
    Value factor = scalar.div(parameter(1), scalar.sqrt(variance)), bias = parameter(2);
    forEachVector(kb, plane, dtype, [&](Value at, int64_t lanes, Value active) {
      Value x = kb.load(kb.advance(input, at, dtype), dtype, lanes, active);
      Value y = kb.multiplyAdd(centered(kb, x, moments.mean, dtype, lanes), kb.splat(factor, lanes),
                               kb.splat(bias, lanes));
      kb.store(y, kb.advance(output, at, dtype), dtype, lanes, active);
    });
  });
}

LoweringResult native::lower(nn::InstanceNormOp op, const LoweringContext &context) {
  if (std::optional<Reason> reason = refuseNormalization(op))
    return *reason;
  DType dtype = dtypeOfValue(op.getInput());
  if (dtypeOfValue(op.getScale()) != dtype || dtypeOfValue(op.getBias()) != dtype)
    return Reason{ReasonCode::ElementType, "instance normalization of mixed types"};
  ChannelShape shape = channelShapeOf(context.sizesOf(op.getInput()));
  double epsilon = op.getEpsilon().convertToDouble();
  LoweredSteps lowered;
  if (shape.elements() == 0)
    return lowered;
  LoweredStep step;
  step.dims = {shape.channels, shape.plane};
  step.buffers = {StepBuffer::of(op.getInput()), StepBuffer::of(op.getScale()),
                  StepBuffer::of(op.getBias()), StepBuffer::of(op.getResult())};
  step.tasks = shape.batch * shape.channels;
  step.grain = chooseMoveGrain(4 * shape.plane * dtypeBytes(dtype));
  step.flops = 6.0 * static_cast<double>(shape.elements());
  step.bytes = 4.0 * static_cast<double>(shape.elements() * dtypeBytes(dtype));
  step.kernel = {"instance_norm", "instance_norm/" + std::string(dtypeName(dtype)) + keyOf(epsilon),
                 [=](KernelBuilder &kb) { emitInstanceNorm(kb, dtype, epsilon); }};
  lowered.push_back(std::move(step));
  return lowered;
}

namespace {
struct LayerNormSpec {
  DType dtype;
  bool center, hasScale, hasBias;
  double epsilon;
};
} // namespace

/// Buffers: input, scale and bias where there are any, result. Dims: length. A task is a row.
static void emitLayerNorm(KernelBuilder &kb, const LayerNormSpec &spec) {
  OpBuilder &ops = kb.builder();
  DType dtype = spec.dtype;
  int64_t buffer = 1;
  Value scale = spec.hasScale ? kb.buffer(buffer++) : Value();
  Value bias = spec.hasBias ? kb.buffer(buffer++) : Value();
  Value length = kb.dim(0), result = kb.buffer(buffer);
  nn::ScalarEmitter scalar(ops, kb.loc(), dtype, 0);
  kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) {
    Value offset = kb.mul(task, length);
    Value input = kb.advance(kb.buffer(0), offset, dtype);
    Value output = kb.advance(result, offset, dtype);
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
      kb.store(y, kb.advance(output, at, dtype), dtype, lanes, active);
    });
  });
}

LoweringResult native::lower(nn::LayerNormOp op, const LoweringContext &context) {
  if (std::optional<Reason> reason = refuseNormalization(op))
    return *reason;
  LayerNormSpec spec{dtypeOfValue(op.getInput()), op.getCenter(), !nn::isNone(op.getScale()),
                     !nn::isNone(op.getBias()), op.getEpsilon().convertToDouble()};
  ArrayRef<int64_t> sizes = context.sizesOf(op.getInput());
  int64_t elements = productOf(sizes), length = productOf(sizes.drop_front(op.getAxis()));
  LoweredSteps lowered;
  if (elements == 0)
    return lowered;
  LoweredStep step;
  step.dims = {length};
  step.buffers = {StepBuffer::of(op.getInput())};
  if (spec.hasScale)
    step.buffers.push_back(StepBuffer::of(op.getScale()));
  if (spec.hasBias)
    step.buffers.push_back(StepBuffer::of(op.getBias()));
  step.buffers.push_back(StepBuffer::of(op.getResult()));
  step.tasks = elements / length;
  step.grain = chooseMoveGrain(4 * length * dtypeBytes(spec.dtype));
  step.flops = 8.0 * static_cast<double>(elements);
  step.bytes = 2.0 * static_cast<double>(elements * dtypeBytes(spec.dtype));
  std::string name = spec.center ? "layer_norm" : "rms_norm";
  step.kernel = {name,
                 name + (spec.hasScale ? "s" : "") + (spec.hasBias ? "b" : "") + "/" +
                     std::string(dtypeName(spec.dtype)) + keyOf(spec.epsilon),
                 [spec](KernelBuilder &kb) { emitLayerNorm(kb, spec); }};
  lowered.push_back(std::move(step));
  return lowered;
}

//===----------------------------------------------------------------------===//
// Local response normalization
//===----------------------------------------------------------------------===//

namespace {
struct LrnSpec {
  DType dtype;
  /// alpha is already divided by the window's size.
  double alpha, beta, bias;
};
/// A task is a chunk of pixels of one channel of one image.
enum LrnDim { kLrnChannels, kLrnPlane, kLrnBefore, kLrnAfter, kLrnChunk, kLrnChunks };
} // namespace

/// base ** beta; the usual 0.75 by two square anchors.
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

static void emitLrn(KernelBuilder &kb, const LrnSpec &spec) {
  OpBuilder &ops = kb.builder();
  DType dtype = spec.dtype;
  kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) {
    Value plane = kb.dim(kLrnPlane);
    Value begin = kb.mul(kb.rem(task, kb.dim(kLrnChunks)), kb.dim(kLrnChunk));
    Value count = kb.minSigned(kb.dim(kLrnChunk), kb.sub(plane, begin));
    Value image = kb.div(task, kb.dim(kLrnChunks)); // times channels, plus the channel
    Value channel = kb.rem(image, kb.dim(kLrnChannels));
    Value first = kb.maxSigned(kb.sub(channel, kb.dim(kLrnBefore)), kb.index(0));
    Value end = kb.minSigned(kb.add(channel, kb.add(kb.dim(kLrnAfter), 1)), kb.dim(kLrnChannels));
    Value offset = kb.add(kb.mul(image, plane), begin);
    Value window = kb.sub(offset, kb.mul(kb.sub(channel, first), plane));
    forEachVector(kb, count, dtype, [&](Value at, int64_t lanes, Value active) {
      Value column = kb.advance(kb.buffer(0), kb.add(window, at), dtype);
      Value squares = reduceColumns(kb, column, kb.sub(end, first), plane, dtype, lanes, active,
                                    Combine::Add, [&](Value x, Value, int64_t, Value) -> Value {
                                      return ops.create<arith::MulFOp>(kb.loc(), x, x);
                                    });
      Value base = kb.multiplyAdd(squares, kb.floatConstant(dtype, lanes, spec.alpha),
                                  kb.floatConstant(dtype, lanes, spec.bias));
      Value here = kb.add(offset, at);
      Value x = kb.load(kb.advance(kb.buffer(0), here, dtype), dtype, lanes, active);
      Value y = ops.create<arith::DivFOp>(kb.loc(), x, emitLrnPower(kb, spec, base, lanes));
      kb.store(y, kb.advance(kb.buffer(1), here, dtype), dtype, lanes, active);
    });
  });
}

LoweringResult native::lower(nn::LrnOp op, const LoweringContext &context) {
  if (std::optional<Reason> reason = refuseNormalization(op))
    return *reason;
  constexpr int64_t kChunk = 1024;
  DType dtype = dtypeOfValue(op.getInput());
  ChannelShape shape = channelShapeOf(context.sizesOf(op.getInput()));
  LoweredSteps lowered;
  if (shape.elements() == 0)
    return lowered;
  int64_t size = op.getSize();
  LrnSpec spec{dtype, op.getAlpha().convertToDouble() / static_cast<double>(size),
               op.getBeta().convertToDouble(), op.getBias().convertToDouble()};
  LoweredStep step;
  int64_t chunk = std::min(kChunk, shape.plane), chunks = ceilDiv(shape.plane, chunk);
  // Of an even window, the larger half lies after the channel.
  int64_t before = std::min((size - 1) / 2, shape.channels);
  int64_t after = std::min(size / 2, shape.channels);
  step.dims = {shape.channels, shape.plane, before, after, chunk, chunks};
  step.buffers = {StepBuffer::of(op.getInput()), StepBuffer::of(op.getResult())};
  step.tasks = shape.batch * shape.channels * chunks;
  step.grain = chooseMoveGrain(chunk * (size + 8) * dtypeBytes(dtype));
  step.flops = static_cast<double>(shape.elements()) * static_cast<double>(2 * size + 4);
  step.bytes = 2.0 * static_cast<double>(shape.elements() * dtypeBytes(dtype));
  step.kernel = {"lrn",
                 "lrn/" + std::string(dtypeName(dtype)) + keyOf(spec.alpha) + "/" +
                     keyOf(spec.beta) + "/" + keyOf(spec.bias),
                 [spec](KernelBuilder &kb) { emitLrn(kb, spec); }};
  lowered.push_back(std::move(step));
  return lowered;
}
