//===- LowerNormalization.cpp - normalizations ----------------------------===//
//
// Batch normalization is a map; the others have kernels of their own.
//
//===----------------------------------------------------------------------===//
#include "backends/native/emit/ElementTypes.h"
#include "backends/native/kernels/MapKernel.h"
#include "backends/native/kernels/NormalizationKernels.h"
#include "backends/native/lowering/LoweringTable.h"
#include "backends/native/target/TileChoice.h"
#include "backends/plan/ShapeEnvironment.h"
#include "ir/FusionGroup.h"
#include "ir/NNDialect.h"
#include "runtime/values/CeilDiv.h"
#include "runtime/values/Strides.h"

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
  if (isWideFloat(dtype))
    return std::nullopt;
  return Reason{ReasonCode::ElementType,
                "no native normalization of " + std::string(dtypeName(dtype))};
}

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

static LoweringResult lower(nn::BatchNormOp op, const LoweringContext &context) {
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

/// Parts of the planes of blocks, if these are so few that threads would wait; by sizes alone, for
/// results must not depend on the number of threads.
static int64_t partsOfPlanes(int64_t planes, int64_t pixels) {
  constexpr int64_t kFewPlanes = 8, kFewestPixels = 4096, kMostParts = 16;
  return planes >= kFewPlanes ? 1 : std::clamp<int64_t>(pixels / kFewestPixels, 1, kMostParts);
}

static LoweringResult lower(nn::InstanceNormOp op, const LoweringContext &context) {
  if (std::optional<Reason> reason = refuseNormalization(op))
    return *reason;
  DType dtype = dtypeOfValue(op.getInput());
  if (dtypeOfValue(op.getScale()) != dtype || dtypeOfValue(op.getBias()) != dtype)
    return Reason{ReasonCode::ElementType, "instance normalization of mixed types"};
  Operation *group = nn::groupOf(op);
  auto outer = [&](Value value) { return nn::outerValue(group, value); };
  InstanceNormSpec spec{.dtype = dtype,
                        .epsilon = op.getEpsilon().convertToDouble(),
                        .block = nn::layoutOf(op.getInput()).block,
                        .epilogue = {}};
  int64_t lanes = context.target.lanes(dtype);
  if (spec.block > lanes && spec.block % lanes != 0)
    return Reason{ReasonCode::Layout, "the channel block is no multiple of the vector length"};
  ArrayRef<int64_t> sizes = context.sizesOf(outer(op.getInput()));
  auto rank = static_cast<int64_t>(sizes.size());
  auto epilogue = buildEpilogue(
      group, context, spec.block > 0 ? ResultAxes::ofChannels(rank, true) : ResultAxes{{1}, {}});
  if (!epilogue)
    return epilogue.reason();
  Epilogue taken = epilogue.take();
  ChannelShape shape = channelShapeOf(sizes);
  LoweredSteps lowered;
  if (shape.elements() == 0)
    return lowered;
  int64_t planes = shape.batch * shape.channels, pixels = shape.plane;
  InstanceNormDims dims{context.sizesOf(outer(op.getScale()))[0], pixels, shape.channels};
  if (spec.block > 0) {
    dims.plane = pixels = shape.plane / spec.block;
    dims.partPixels = ceilDiv(pixels, partsOfPlanes(planes, pixels));
    dims.parts = ceilDiv(pixels, dims.partPixels);
  }
  auto addStep = [&](std::vector<StepBuffer> buffers, double share) {
    LoweredStep step;
    step.dims = flattenDims(dims);
    step.buffers = std::move(buffers);
    step.tasks = planes * dims.parts;
    step.grain = chooseMoveGrain(4 * shape.plane / dims.parts * dtypeBytes(dtype));
    step.kernel = kernelOf(spec);
    step.share = share;
    lowered.push_back(std::move(step));
  };
  StepBuffer input = StepBuffer::of(outer(op.getInput()));
  std::vector<StepBuffer> buffers = {input, StepBuffer::of(outer(op.getScale())),
                                     StepBuffer::of(outer(op.getBias())),
                                     StepBuffer::of(group->getResult(0))};
  for (const Epilogue::Operand &operand : taken.operands)
    buffers.push_back(StepBuffer::of(operand.value));
  double share = 1;
  if (dims.parts > 1) {
    buffers.push_back(StepBuffer::scratchSpace(0, CheckedSize(planes) * dims.parts * 2 *
                                                      spec.block * dtypeBytes(dtype)));
    spec.stage = InstanceNormStage::Moments;
    addStep({input, buffers.back()}, kShareOfMoments);
    spec.stage = InstanceNormStage::Normal;
    share = 1 - kShareOfMoments;
  }
  spec.epilogue = EpilogueCode(taken);
  addStep(std::move(buffers), share);
  return lowered;
}

static LoweringResult lower(nn::LayerNormOp op, const LoweringContext &context) {
  if (std::optional<Reason> reason = refuseNormalization(op))
    return *reason;
  Operation *group = nn::groupOf(op);
  auto outer = [&](Value value) { return StepBuffer::of(nn::outerValue(group, value)); };
  ArrayRef<int64_t> sizes = context.sizesOf(nn::outerValue(group, op.getInput()));
  auto rank = static_cast<int64_t>(sizes.size());
  int64_t axis = context.values.axisOf(op), elements = productOf(sizes),
          length = productOf(sizes.drop_front(axis));
  ResultAxes axes;
  if (axis == rank - 1)
    axes.columns = {axis};
  ReasonOr<Epilogue, Misfit> found = buildEpilogue(group, context, axes);
  if (!found)
    return found.reason();
  Epilogue epilogue = found.take();
  LayerNormSpec spec{dtypeOfValue(op.getInput()),       op.getCenter(),
                     !nn::isNone(op.getScale()),        !nn::isNone(op.getBias()),
                     op.getEpsilon().convertToDouble(), EpilogueCode(epilogue)};
  LoweredSteps lowered;
  if (elements == 0)
    return lowered;
  LoweredStep step;
  step.dims = flattenDims(LayerNormDims{length});
  step.buffers = {outer(op.getInput())};
  if (spec.hasScale)
    step.buffers.push_back(outer(op.getScale()));
  if (spec.hasBias)
    step.buffers.push_back(outer(op.getBias()));
  step.buffers.push_back(StepBuffer::of(group->getResult(0)));
  addOperands(epilogue, step);
  step.tasks = elements / length;
  step.grain = chooseMoveGrain(4 * length * dtypeBytes(spec.dtype));
  step.kernel = kernelOf(spec);
  lowered.push_back(std::move(step));
  return lowered;
}

//===----------------------------------------------------------------------===//
// Local response normalization
//===----------------------------------------------------------------------===//

static LoweringResult lower(nn::LrnOp op, const LoweringContext &context) {
  if (std::optional<Reason> reason = refuseNormalization(op))
    return *reason;
  constexpr int64_t kChunk = 1024;
  DType dtype = dtypeOfValue(op.getInput());
  int64_t block = nn::layoutOf(op.getInput()).block;
  ChannelShape shape = channelShapeOf(context.sizesOf(op.getInput()));
  LoweredSteps lowered;
  if (shape.elements() == 0)
    return lowered;
  if (block > 0) {
    shape.channels *= block;
    shape.plane /= block;
  }
  int64_t size = op.getSize();
  LrnSpec spec{dtype, op.getAlpha().convertToDouble() / static_cast<double>(size),
               op.getBeta().convertToDouble(), op.getBias().convertToDouble()};
  LoweredStep step;
  int64_t chunk = std::min(kChunk, shape.plane), chunks = ceilDiv(shape.plane, chunk);
  // Of an even window, the larger half lies after the channel.
  int64_t before = std::min((size - 1) / 2, shape.channels);
  int64_t after = std::min(size / 2, shape.channels);
  LrnDims dims{shape.channels, shape.plane, before, after, chunk, chunks};
  step.tasks = shape.batch * shape.channels * chunks;
  if (block > 0) {
    constexpr int64_t kPixels = 64;
    spec.block = block;
    spec.before = before;
    spec.after = after;
    dims.chunk = std::min(kPixels, shape.plane);
    dims.chunks = ceilDiv(shape.plane, dims.chunk);
    chunk = dims.chunk * shape.channels;
    step.tasks = shape.batch * dims.chunks;
    step.scratchBytes = dims.bytesOfSquares();
  }
  step.dims = flattenDims(dims);
  step.buffers = {StepBuffer::of(op.getInput()), StepBuffer::of(op.getResult())};
  step.grain = chooseMoveGrain(chunk * (size + 8) * dtypeBytes(dtype));
  step.kernel = kernelOf(spec);
  lowered.push_back(std::move(step));
  return lowered;
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

std::span<const LoweringRow> native::normalizationLowerings() {
  static const LoweringRow rows[] = {
      lowered<nn::BatchNormOp, lower>(),
      lowered<nn::InstanceNormOp, lower>(),
      lowered<nn::LayerNormOp, lower>(),
      lowered<nn::LrnOp, lower>(),
  };
  return rows;
}
