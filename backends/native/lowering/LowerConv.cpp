//===- LowerConv.cpp - convolution ----------------------------------------===//
//
// Two ways: on channel-blocked results (NCHWc), directly, with constant weights
// packed; on plain NCHW, as a matrix product of the weights with the image or,
// where the window needs it, with its unfolding.
//
//===----------------------------------------------------------------------===//
#include "backends/native/kernels/DotKernel.h"
#include "backends/native/kernels/MoveKernels.h"
#include "backends/native/kernels/PackWeights.h"
#include "backends/native/lowering/LoweringTable.h"
#include "backends/native/target/TileChoice.h"
#include "backends/plan/ShapeEnvironment.h"
#include "ir/Constants.h"
#include "ir/FusionGroup.h"
#include "ir/NNDialect.h"
#include "ir/Types.h"
#include "runtime/reference/WindowShape.h"
#include "runtime/values/CeilDiv.h"

#include <fmt/compile.h>
#include <fmt/format.h>

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::plan;

namespace {
/// A convolution, as both ways of computing it see it.
struct ConvProblem {
  const LoweringContext &context;
  nn::ConvOp op;
  Value input, weights, bias, output;
  DType dtype = DType::Float32;
  int64_t batch = 1, channels = 1, outputs = 1, groups = 1;
  int64_t inputBlock = 0, outputBlock = 0;
  /// Spatial geometry in 3-D, leading axes of size 1 when there are fewer.
  WindowShape3 window;
  int64_t padEnd[3] = {0, 0, 0};
  Epilogue epilogue;
  double flops = 0;

  int64_t channelsPerGroup() const { return channels / groups; }
  int64_t outputsPerGroup() const { return outputs / groups; }
  /// Every channel is a group.
  bool isDepthwise() const { return groups > 1 && groups == channels && groups == outputs; }
  int64_t inputPixels() const { return window.input[0] * window.input[1] * window.input[2]; }
  int64_t outputPixels() const { return window.output[0] * window.output[1] * window.output[2]; }
  int64_t kernelPositions() const { return window.kernel[0] * window.kernel[1] * window.kernel[2]; }
  /// Of one image.
  CheckedSize unfoldedBytes() const {
    return CheckedSize(channels) * kernelPositions() * outputPixels() * dtypeBytes(dtype);
  }
  bool hasPads() const {
    for (int a = 0; a < 3; ++a)
      if (window.padBegin[a] != 0 || padEnd[a] != 0)
        return true;
    return false;
  }
  /// Each output pixel reads just the input pixel at the same place.
  bool isPointwise() const {
    for (int a = 0; a < 3; ++a)
      if (window.kernel[a] != 1 || window.stride[a] != 1)
        return false;
    return !hasPads();
  }
};
} // namespace

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
  return std::nullopt;
}

static std::optional<Reason> resolveProblem(Operation *group, ConvProblem &p) {
  p.input = nn::outerValue(group, p.op.getInput());
  p.weights = nn::outerValue(group, p.op.getWeights());
  if (!nn::isNone(p.op.getBias()))
    p.bias = nn::outerValue(group, p.op.getBias());
  p.output = group->getResult(0);
  p.dtype = dtypeOfValue(p.op.getResult());
  if (!DotTypes::isNative(p.dtype))
    return Reason{ReasonCode::ElementType,
                  "convolution is native for types of 32 and 64 bits only"};
  p.inputBlock = nn::layoutOf(p.op.getInput()).block;
  p.outputBlock = nn::layoutOf(p.op.getResult()).block;
  p.batch = p.context.sizesOf(p.input)[0];
  p.groups = p.op.getGroup();
  p.outputs = p.context.sizesOf(p.weights)[0];
  p.channels = p.context.sizesOf(p.weights)[1] * p.groups;
  p.window.channels = p.channels;
  if (p.context.elementsOf(p.output) == 0 || p.context.elementsOf(p.weights) == 0 ||
      p.context.elementsOf(p.input) == 0)
    return Reason{ReasonCode::Shape, "an operand is empty"};
  if (std::optional<Reason> reason = resolveWindow(p))
    return reason;
  auto rank = static_cast<int64_t>(p.context.sizesOf(p.output).size());
  auto epilogue = buildEpilogue(group, p.context, ResultAxes::ofChannels(rank, p.outputBlock > 0));
  if (!epilogue)
    return epilogue.reason();
  p.epilogue = epilogue.take();
  p.flops = 2.0 * double(p.batch) * double(p.outputPixels()) * double(p.outputs) *
            double(p.channelsPerGroup()) * double(p.kernelPositions());
  return std::nullopt;
}

namespace {
/// The product that one step computes.
struct ConvProduct {
  StepBuffer a, b;
  std::optional<StepBuffer> bias = {};
  int64_t batches = 1;
  /// The first element of the result that it computes, and its part of the work.
  int64_t firstResult = 0;
  double share = 1;
};
} // namespace

static LoweredStep makeStep(const ConvProblem &p, const KernelSpec &kernel, const DotDims &dims,
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
  step.dims = flattenDims(dims);
  step.tasks = product.batches * dims.columnTiles * dims.lineChunks;
  step.flops = p.flops * product.share;
  step.grain = chooseGrain(step.tasks, step.flops);
  step.bytes = product.share * double(dtypeBytes(p.dtype)) *
               double(p.context.elementsOf(p.input) + p.context.elementsOf(p.output) +
                      p.context.elementsOf(p.weights));
  return step;
}

//===----------------------------------------------------------------------===//
// Channel-blocked results
//===----------------------------------------------------------------------===//

namespace {
/// The input of the blocked way: an image with its halo, in elements.
struct PaddedInput {
  StepBuffer buffer;
  int64_t pixel;      ///< elements of one pixel: the block, or 1 for plain NCHW
  int64_t lineStride; ///< between lines
  int64_t planeStride;
  int64_t planes; ///< planes of one image
};
} // namespace

/// The input itself, or its copy with zeros around it when the window has pads.
static PaddedInput padInput(const ConvProblem &p, std::vector<LoweredStep> &steps) {
  PaddedInput padded;
  padded.pixel = std::max<int64_t>(p.inputBlock, 1);
  padded.planes = p.context.sizesOf(p.input)[1];
  padded.buffer = StepBuffer::of(p.input);
  int64_t height = p.window.input[1], width = p.window.input[2];
  if (p.hasPads()) {
    HaloShape halo{
        p.batch * padded.planes, height,     width, padded.pixel, p.window.padBegin[1], p.padEnd[1],
        p.window.padBegin[2],    p.padEnd[2]};
    height += halo.top + halo.bottom;
    width += halo.left + halo.right;
    CheckedSize bytes =
        CheckedSize(halo.planes) * height * width * padded.pixel * dtypeBytes(p.dtype);
    padded.buffer = StepBuffer::scratchSpace(0, bytes);
    steps.push_back(padHalo(StepBuffer::of(p.input), padded.buffer, halo, p.dtype));
  }
  padded.lineStride = width * padded.pixel;
  padded.planeStride = height * padded.lineStride;
  return padded;
}

/// The k nest of the blocked way: channel block, kernel row, kernel column, lane.
static void addWindowLevels(const ConvProblem &p, const PaddedInput &padded, DotSpec &spec,
                            DotDims &dims) {
  bool depthwise = spec.tile.vectorA;
  std::vector<DotDims::Level> levels;
  auto add = [&](DotTile::Level level, DotDims::Level dim) {
    spec.tile.levels.push_back(level);
    levels.push_back(dim);
  };
  constexpr int64_t kRuntime = DotSpec::kRuntime;
  if (!depthwise) {
    int64_t planes = p.channelsPerGroup() / padded.pixel;
    add({kRuntime, kRuntime, 1}, {planes, padded.planeStride});
  }
  int64_t rows = p.window.kernel[1], columns = p.window.kernel[2];
  int64_t stepX = p.window.dilation[2] * padded.pixel;
  // A small kernel width is unrolled; it is the innermost level unless lanes are.
  bool lanesInside = !depthwise && padded.pixel > 1;
  constexpr int64_t kMaxUnrolledWidth = 7;
  int64_t unroll = lanesInside || columns > kMaxUnrolledWidth ? 1 : columns;
  if (rows > 1 || columns > 1) {
    add({kRuntime, kRuntime, 1}, {rows, p.window.dilation[1] * padded.lineStride});
    add({unroll > 1 ? columns : kRuntime, unroll > 1 ? stepX : kRuntime, unroll}, {columns, stepX});
  }
  if (lanesInside)
    add({padded.pixel, 1, std::min<int64_t>(4, padded.pixel)}, {padded.pixel, 1});
  if (spec.tile.levels.empty())
    add({1, 1, 1}, {1, 1});
  for (size_t i = 0; i < levels.size(); ++i)
    dims.levels[i] = levels[i];
}

/// Why the blocked way has no native code for `p`, if it has none.
static std::optional<Reason> refuseBlocked(const ConvProblem &p) {
  const Target &target = p.context.target;
  int64_t block = p.outputBlock;
  if (dtypeBits(p.dtype) != 32 || block != target.channelBlock())
    return Reason{ReasonCode::Layout, "the channel block does not fit the target's vectors"};
  if (p.window.input[0] != 1 || p.window.kernel[0] != 1 || p.window.padBegin[0] != 0)
    return Reason{ReasonCode::Shape, "blocked convolution is native in two dimensions only"};
  if (!nn::isConstant(p.weights) || (p.bias && !nn::isConstant(p.bias)))
    return Reason{ReasonCode::NotConstant, "blocked convolution needs constant weights and bias"};
  bool fillsBlocks = p.inputBlock == block && p.channelsPerGroup() % block == 0 &&
                     p.outputsPerGroup() % block == 0;
  if (p.groups > 1 && !p.isDepthwise() && !fillsBlocks)
    return Reason{ReasonCode::Layout, "groups do not fill channel blocks"};
  return std::nullopt;
}

/// The tile of the blocked way; `lineRows` are the output pixels of a line.
/// Takes the epilogue's program away.
static DotSpec blockedSpec(ConvProblem &p, const PaddedInput &padded, int64_t lineRows,
                           const Target &target) {
  // A tile's vectors are channel blocks that read the same input.
  int64_t channelVectors = p.isDepthwise() ? 1 : ceilDiv(p.outputsPerGroup(), p.outputBlock);
  TileShape shape = chooseConvTile(target, lineRows, channelVectors);
  DotSpec spec;
  spec.tile.types = DotTypes::all(p.dtype);
  spec.tile.types.c = p.epilogue.program.typeOf(p.epilogue.program.results[0]);
  spec.tile.lanes = p.outputBlock;
  spec.tile.vectorA = p.isDepthwise();
  spec.tile.vectors = shape.vectors;
  spec.heights = shape.heights;
  spec.flat = p.isPointwise();
  spec.tile.rowStrideA = p.window.stride[2] * padded.pixel;
  spec.rowStrideC = p.outputBlock;
  if (p.bias)
    spec.bias = OperandAccess::PerColumn;
  spec.epilogue = EpilogueCode(p.epilogue);
  return spec;
}

/// The dims of the blocked way but for the levels.
static void fillBlockedDims(const ConvProblem &p, const PaddedInput &padded, const DotSpec &spec,
                            int64_t lineRows, int64_t threads, DotDims &dims) {
  int64_t block = p.outputBlock, channelVectors = ceilDiv(p.outputs, block);
  dims.columnTiles = channelVectors / spec.tile.vectors;
  dims.lines = p.window.output[1];
  dims.coverRows(spec, lineRows);
  dims.splitLines(p.batch, p.flops, threads);
  dims.lineStrideA = p.window.stride[1] * padded.lineStride;
  dims.lineStrideC = p.window.output[2] * block;
  dims.batchStrideA = padded.planes * padded.planeStride;
  dims.batchStrideC = channelVectors * p.outputPixels() * block;
  dims.tilesPerGroup = spec.tile.vectorA ? 1 : dims.columnTiles / p.groups;
  dims.groupStrideA = spec.tile.vectorA ? padded.planeStride
                                        : p.channelsPerGroup() / padded.pixel * padded.planeStride;
  int64_t depth = p.kernelPositions() * (spec.tile.vectorA ? 1 : p.channelsPerGroup());
  dims.tileStrideB = depth * spec.tile.columns();
  dims.vectorStrideC = p.outputPixels() * block;
  dims.tileStrideC = spec.tile.vectors * dims.vectorStrideC;
}

/// The constant weights as the blocked way reads them.
static StepBuffer packedWeights(const ConvProblem &p, const DotSpec &spec) {
  nn::WeightSource weights = *p.context.values.weightOf(p.weights);
  if (spec.tile.vectorA)
    return StepBuffer::packed(weights, fmt::format(FMT_COMPILE("depthwise {}"), spec.tile.lanes),
                              [lanes = spec.tile.lanes](const Tensor &w, auto &) {
                                return packDepthwiseWeights(w, lanes);
                              });
  std::string how = fmt::format(FMT_COMPILE("conv {} {}"), p.inputBlock, spec.tile.columns());
  return StepBuffer::packed(
      weights, how, [block = p.inputBlock, columns = spec.tile.columns()](const Tensor &w, auto &) {
        return packConvWeights(w, block, columns);
      });
}

/// The constant bias, if any, for whole tiles.
static std::optional<StepBuffer> packedBias(const ConvProblem &p, const DotSpec &spec) {
  if (!p.bias)
    return std::nullopt;
  int64_t columns = spec.tile.columns();
  return StepBuffer::packed(*p.context.values.weightOf(p.bias),
                            fmt::format(FMT_COMPILE("pad {}"), columns),
                            [columns](const Tensor &t, auto &) { return padVector(t, columns); });
}

static LoweringResult lowerBlockedConv(ConvProblem &p) {
  const LoweringContext &context = p.context;
  if (std::optional<Reason> reason = refuseBlocked(p))
    return *reason;
  LoweredSteps result;
  PaddedInput padded = padInput(p, result);
  int64_t lineRows = p.isPointwise() ? p.outputPixels() : p.window.output[2];
  DotSpec spec = blockedSpec(p, padded, lineRows, context.target);
  DotDims dims;
  addWindowLevels(p, padded, spec, dims);
  fillBlockedDims(p, padded, spec, lineRows, context.threads, dims);
  StepBuffer weights = packedWeights(p, spec);
  std::optional<StepBuffer> bias = packedBias(p, spec);
  ConvProduct product{padded.buffer, std::move(weights), std::move(bias), p.batch};
  result.push_back(makeStep(p, kernelOf(std::move(spec)), dims, std::move(product)));
  return result;
}

//===----------------------------------------------------------------------===//
// Plain NCHW
//===----------------------------------------------------------------------===//

/// A flat space: outputs are rows and pixels columns. The number of pixels does not
/// shape the code, but for whether tiles end at the last one.
static DotSpec plainSpec(ConvProblem &p, const Target &target) {
  TileShape shape = chooseGemmTile(target, p.dtype, /*columns=*/0);
  DotSpec spec;
  spec.tile.types = DotTypes::all(p.dtype);
  spec.tile.types.c = p.epilogue.program.typeOf(p.epilogue.program.results[0]);
  spec.tile.lanes = target.lanes(p.dtype);
  spec.tile.vectors = shape.vectors;
  spec.tile.levels = {{DotSpec::kRuntime, 1, 2}};
  spec.tile.packedB = false;
  spec.heights = shape.heights;
  spec.flat = true;
  spec.groupsRepeat = true;
  spec.contiguousColumns = true;
  spec.maskColumns = p.outputPixels() % spec.tile.columns() != 0;
  if (p.bias)
    spec.bias = OperandAccess::PerRow;
  spec.epilogue = EpilogueCode(p.epilogue);
  return spec;
}

/// The dims of some images: a batch is a group of one.
static DotDims plainDims(const ConvProblem &p, const DotSpec &spec, int64_t images) {
  int64_t depth = p.channelsPerGroup() * p.kernelPositions(), pixels = p.outputPixels();
  DotDims dims;
  dims.columnTiles = ceilDiv(pixels, spec.tile.columns());
  dims.tilesPerGroup = dims.columnTiles;
  dims.coverRows(spec, p.outputsPerGroup());
  dims.groups = p.groups;
  dims.splitLines(images * p.groups, p.flops * double(images) / double(p.batch), p.context.threads);
  dims.batchStrideA = p.outputsPerGroup() * depth;
  dims.batchStrideB = depth * pixels;
  dims.batchStrideC = p.outputsPerGroup() * pixels;
  dims.batchStrideBias = p.outputsPerGroup();
  dims.tileStrideB = spec.tile.columns();
  dims.tileStrideC = spec.tile.columns();
  dims.rowStrideA = depth;
  dims.rowStrideC = pixels;
  dims.strideB = pixels;
  dims.columns = pixels;
  dims.levels[0] = {depth, 1};
  return dims;
}

/// Appends the steps of `images` images from `first` on.
static void addPlainSteps(const ConvProblem &p, const DotSpec &spec, const KernelSpec &kernel,
                          int64_t first, int64_t images, std::vector<LoweredStep> &steps) {
  int64_t element = dtypeBytes(p.dtype);
  StepBuffer from = StepBuffer::of(p.input, first * p.channels * p.inputPixels() * element);
  if (!p.isPointwise()) {
    StepBuffer unfolded = StepBuffer::scratchSpace(0, p.unfoldedBytes() * images);
    WindowShape3 window = p.window;
    // The rows of one image follow those of the one before.
    window.channels *= images;
    steps.push_back(unfoldWindows(from, unfolded, window, p.dtype));
    from = unfolded;
  }
  ConvProduct product{.a = StepBuffer::of(p.weights),
                      .b = from,
                      .batches = images * p.groups,
                      .firstResult = first * p.outputs * p.outputPixels(),
                      .share = double(images) / double(p.batch)};
  if (p.bias)
    product.bias = StepBuffer::of(p.bias);
  steps.push_back(makeStep(p, kernel, plainDims(p, spec, images), std::move(product)));
}

/// C [outputs, pixels] = weights [outputs, depth] * unfolded image [depth, pixels],
/// per image and group.
static LoweringResult lowerPlainConv(ConvProblem &p) {
  DotSpec spec = plainSpec(p, p.context.target);
  KernelSpec kernel = kernelOf(spec);
  int64_t images = p.isPointwise() ? p.batch : chooseImages(p.batch, p.unfoldedBytes());
  LoweredSteps result;
  for (int64_t first = 0; first < p.batch; first += images)
    addPlainSteps(p, spec, kernel, first, std::min(images, p.batch - first), result);
  return result;
}

LoweringResult native::lower(nn::ConvOp op, const LoweringContext &context) {
  ConvProblem problem{.context = context};
  problem.op = op;
  if (std::optional<Reason> reason = resolveProblem(nn::groupOf(op), problem))
    return *reason;
  if (problem.outputBlock > 0)
    return lowerBlockedConv(problem);
  if (problem.inputBlock > 0)
    return Reason{ReasonCode::Layout, "a blocked input with a plain result"};
  return lowerPlainConv(problem);
}
