//===- LowerConv.cpp - convolution ----------------------------------------===//
//
// What all ways of computing a convolution start from, and these ways, which
// LowerBlockedConv.cpp and LowerPlainConv.cpp have.
//
//===----------------------------------------------------------------------===//
#include "backends/native/lowering/ConvWays.h"
#include "backends/native/lowering/LoweringTable.h"
#include "backends/native/lowering/Way.h"
#include "backends/native/target/TileChoice.h"
#include "backends/plan/ShapeEnvironment.h"
#include "ir/FusionGroup.h"
#include "ir/Types.h"
#include "runtime/reference/WindowShape.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::plan;

/// Fills the geometry; a reason when there is no native code for it.
static std::optional<Reason> resolveWindow(ConvProblem &p) {
  ArrayRef<int64_t> weights = p.context.sizesOf(p.weights), input = p.context.sizesOf(p.input);
  auto spatial = static_cast<int>(weights.size()) - 2;
  if (spatial > 3)
    return Reason{ReasonCode::Shape, "more than three spatial dimensions"};
  auto sizes = p.context.sizesOf(p.op.getResult());
  for (int a = 0; a < 3; ++a) {
    int axis = a - (3 - spatial);
    WindowAxis resolved;
    if (axis >= 0) {
      resolved = {input[2 + axis],           weights[2 + axis],    p.op.getStrides()[axis],
                  p.op.getDilations()[axis], p.op.getPads()[axis], p.op.getPads()[spatial + axis]};
      if (!windowOutputSize(resolved, p.op.getAutoPad(), /*ceilMode=*/false))
        return Reason{ReasonCode::Shape, "the window does not fit the input"};
    } else {
      resolved.input = 1;
    }
    p.window.input[a] = resolved.input;
    p.window.output[a] = axis < 0 ? 1 : sizes[2 + axis];
    p.window.kernel[a] = resolved.kernel;
    p.window.stride[a] = resolved.stride;
    p.window.dilation[a] = resolved.dilation;
    p.window.padBegin[a] = resolved.padBegin;
    p.padEnd[a] = resolved.padEnd;
  }
  p.places = {.line = p.window.output[2], .all = p.outputPixels()};
  return std::nullopt;
}

std::optional<Reason> native::bindConv(Operation *op, ConvProblem &p) {
  Operation *group = nn::groupOf(op);
  Value input = op->getOperand(0), weights = op->getOperand(1), bias = op->getOperand(2);
  p.input = nn::outerValue(group, input);
  p.weights = nn::outerValue(group, weights);
  if (!nn::isNone(bias))
    p.bias = nn::outerValue(group, bias);
  p.output = group->getResult(0);
  p.dtype = dtypeOfValue(op->getResult(0));
  p.inputType = dtypeOfValue(input);
  p.weightsType = dtypeOfValue(weights);
  p.inputBlock = nn::layoutOf(input).block;
  p.outputBlock = nn::layoutOf(op->getResult(0)).block;
  p.batch = p.context.sizesOf(p.input)[0];
  if (p.context.elementsOf(p.output) == 0 || p.context.elementsOf(p.weights) == 0 ||
      p.context.elementsOf(p.input) == 0)
    return Reason{ReasonCode::Shape, "an operand is empty"};
  return std::nullopt;
}

/// Fills all but the epilogue; a reason when there is no native code for it.
static std::optional<Reason> resolveProblem(nn::ConvOp op, ConvProblem &p) {
  p.op = op;
  std::optional<Reason> empty = bindConv(op, p);
  if (!DotTypes::isNative(p.dtype))
    return Reason{ReasonCode::ElementType,
                  "convolution is native for types of 32 and 64 bits only"};
  if (empty)
    return empty;
  p.window.outside = p.op.getPadValue();
  p.groups = p.op.getGroup();
  p.outputs = p.context.sizesOf(p.weights)[0];
  p.channels = p.context.sizesOf(p.weights)[1] * p.groups;
  p.window.channels = p.channels;
  if (std::optional<Reason> reason = resolveWindow(p))
    return reason;
  p.flops = p.countFlops();
  return std::nullopt;
}

LoweredStep native::startConvStep(const ConvProblem &p, const KernelSpec &kernel,
                                  ConvProduct product) {
  LoweredStep step;
  step.kernel = kernel;
  // Operands and result of the epilogue may have elements of different sizes.
  auto atFirstResult = [&](Value value) {
    return StepBuffer::of(value, product.firstResult * dtypeBytes(dtypeOfValue(value)));
  };
  step.buffers = {std::move(product.a), std::move(product.b), atFirstResult(p.output)};
  if (product.bias)
    step.buffers.push_back(std::move(*product.bias));
  for (const Epilogue::Operand &operand : p.epilogue.operands)
    step.buffers.push_back(operand.access == OperandAccess::Full ? atFirstResult(operand.value)
                                                                 : StepBuffer::of(operand.value));
  step.share = p.share * product.share;
  return step;
}

LoweredStep native::makeConvStep(const ConvProblem &p, const KernelSpec &kernel,
                                 const DotDims &dims, ConvProduct product) {
  int64_t batches = product.batches;
  double flops = p.flops * product.share;
  LoweredStep step = startConvStep(p, kernel, std::move(product));
  step.dims = flattenDims(dims);
  step.tasks = batches * dims.columnTiles * dims.lineChunks();
  step.grain = chooseGrain(step.tasks, flops);
  return step;
}

//===----------------------------------------------------------------------===//
// Ways
//===----------------------------------------------------------------------===//

template <const ConvWay &Used>
static std::optional<Reason> refuseConv(Operation *op, const LoweringContext &context) {
  ConvProblem p{.context = context};
  std::optional<Reason> reason = resolveProblem(cast<nn::ConvOp>(op), p);
  return reason ? reason : Used.refuse(p);
}

/// The problem of one image in one thread, without an epilogue: batches of any size, and any number
/// of threads, have the same kernels, weights and results.
static bool resolveOneImage(nn::ConvOp op, ConvProblem &p) {
  if (resolveProblem(op, p))
    return false;
  p.flops /= double(p.batch);
  p.batch = 1;
  p.epilogue.program.inputs = {p.dtype};
  p.epilogue.program.results = {0};
  return true;
}

template <const ConvWay &Used>
static double costConv(Operation *op, const LoweringContext &context) {
  LoweringContext alone = context;
  alone.threads = 1;
  ConvProblem p{.context = alone};
  constexpr double kNever = 1e18;
  if (!resolveOneImage(cast<nn::ConvOp>(op), p))
    return kNever; // which is refused
  double growth = Used.weightGrowth ? Used.weightGrowth(p) : 1;
  double weights =
      growth * double(context.elementsOf(p.weights)) * double(dtypeBytes(p.weightsType));
  double flops = p.flops;
  LoweringResult steps = Used.lower(p);
  return steps ? costOfSteps(*steps, {.flops = flops}, weights, context) : kNever;
}

template <const ConvWay &Used>
static LoweringResult lowerConv(Operation *op, const LoweringContext &context) {
  ConvProblem p{.context = context};
  if (std::optional<Reason> reason = resolveProblem(cast<nn::ConvOp>(op), p))
    return *reason;
  auto rank = static_cast<int64_t>(context.sizesOf(p.output).size());
  auto epilogue =
      buildEpilogue(nn::groupOf(op), context, ResultAxes::ofChannels(rank, p.isBlocked()));
  if (!epilogue)
    return epilogue.reason();
  p.epilogue = epilogue.take();
  return Used.lower(p);
}

template <const ConvWay &Used> static constexpr Way wayOf(const char *name) {
  return {name, refuseConv<Used>, costConv<Used>, lowerConv<Used>};
}

static std::span<const Way> convWays() {
  static constexpr Way ways[] = {
      wayOf<kDepthwiseConv>("depthwise"), wayOf<kBlockedConv>("blocked"),
      wayOf<kWinograd2Conv>("winograd2"), wayOf<kWinograd4Conv>("winograd4"),
      wayOf<kPointwiseConv>("pointwise"), wayOf<kLineConv>("lines"),
      wayOf<kUnfoldedConv>("unfolded")};
  return ways;
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

std::span<const LoweringRow> native::convLowerings() {
  static const LoweringRow rows[] = {
      lowered<nn::ConvOp>(convWays()),
  };
  return rows;
}
