//===- LowerBlockedConv.cpp - convolution in channel blocks ---------------===//
//
// Directly, with constant weights packed: a row of pixels of the image, plain or blocked, with
// zeros around it where the window has pads, meets a vector of the result's channels.
//
//===----------------------------------------------------------------------===//
#include "backends/native/kernels/PackWeights.h"
#include "backends/native/kernels/TiledDotKernel.h"
#include "backends/native/lowering/ConvWays.h"
#include "backends/native/target/TileChoice.h"
#include "backends/plan/ShapeEnvironment.h"
#include "ir/Constants.h"
#include "passes/LayoutPolicy.h"
#include "runtime/values/CeilDiv.h"

#include <fmt/compile.h>
#include <fmt/format.h>

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::plan;

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
    HaloShape halo{p.batch * padded.planes,
                   height,
                   width,
                   padded.pixel,
                   p.window.padBegin[1],
                   p.padEnd[1],
                   p.window.padBegin[2],
                   p.padEnd[2],
                   p.window.outside};
    height += halo.top + halo.bottom;
    width += halo.left + halo.right;
    CheckedSize bytes =
        CheckedSize(halo.planes) * height * width * padded.pixel * dtypeBytes(p.inputType);
    padded.buffer = StepBuffer::scratchSpace(0, bytes);
    steps.push_back(padHalo(StepBuffer::of(p.input), padded.buffer, halo, p.inputType));
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
    // Padding of floats may be no number; that of integers meets weights of zero.
    int64_t rest = p.channelsPerGroup() % padded.pixel;
    if (isFloat(p.inputType) && spec.tile.group > 1 && rest % spec.tile.group == 0)
      spec.tile.lastSteps = rest / spec.tile.group;
    int64_t planes = spec.tile.lastSteps > 0 ? p.channelsPerGroup() / padded.pixel
                                             : ceilDiv(p.channelsPerGroup(), padded.pixel);
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
  if (lanesInside) {
    int64_t group = spec.tile.group, steps = padded.pixel / group;
    add({steps, group, std::min<int64_t>(4, steps)}, {steps, group});
  }
  if (spec.tile.levels.empty())
    add({1, 1, 1}, {1, 1});
  for (size_t i = 0; i < levels.size(); ++i)
    dims.levels[i] = levels[i];
}

/// Whether a tile of sums has the columns of a block.
static bool isWholeVectors(int64_t block, const Target &target) {
  int64_t lanes = target.channelBlock();
  return block == lanes || (target.has(Isa::Avx512) && (block == 2 * lanes || block == 4 * lanes));
}

std::optional<Reason> native::refuseBlocked(const ConvProblem &p) {
  if (!p.isBlocked())
    return Reason{ReasonCode::Layout, "the result is plain"};
  if (!isWholeVectors(p.outputBlock, p.context.target))
    return Reason{ReasonCode::Layout, "the channel block does not fit the target's vectors"};
  passes::ConvFacts facts;
  facts.dtype = p.dtype;
  facts.inputType = p.inputType;
  facts.spatialRank = static_cast<int64_t>(p.context.sizesOf(p.weights).size()) - 2;
  facts.inputs = p.channels;
  facts.outputs = p.outputs;
  facts.groups = p.groups;
  facts.hasConstantWeights = nn::isConstant(p.weights) && (!p.bias || nn::isConstant(p.bias));
  return passes::refuseBlocks(facts, {p.inputBlock, p.outputBlock});
}

/// The tile of the blocked way; `lineRows` are the output pixels of a line.
/// Takes the epilogue's program away.
static DotSpec blockedSpec(ConvProblem &p, const PaddedInput &padded, int64_t lineRows,
                           const Target &target) {
  // A tile's vectors are one channel block, or several of one vector that read the same input.
  int64_t lanes = target.channelBlock(), vectorsOfBlock = p.outputBlock / lanes;
  int64_t channelVectors = p.isDepthwise() ? 1 : ceilDiv(p.outputsPerGroup(), lanes);
  TileShape shape = vectorsOfBlock > 1 ? chooseBlockTile(target, vectorsOfBlock)
                                       : chooseConvTile(target, lineRows, channelVectors);
  DotSpec spec;
  spec.tile.types = {p.inputType, p.weightsType, p.dtype, p.resultType()};
  spec.tile.lanes = lanes;
  spec.tile.vectorA = p.isDepthwise();
  // A pixel of an image in blocks has whole groups of channels.
  if (!spec.tile.vectorA && padded.pixel % spec.tile.types.group() == 0)
    spec.tile.group = spec.tile.types.group();
  spec.tile.vectors = shape.vectors;
  spec.heights = shape.heights;
  spec.flat = p.isPointwise();
  spec.tile.rowStrideA = p.window.stride[2] * padded.pixel;
  spec.rowStrideC = p.outputBlock;
  spec.contiguousColumns = vectorsOfBlock > 1;
  if (p.bias)
    spec.bias = OperandAccess::PerColumn;
  spec.epilogue = EpilogueCode(p.epilogue);
  return spec;
}

/// The dims of the blocked way but for the levels, and how rows are split up.
static void fillBlockedDims(const ConvProblem &p, const PaddedInput &padded, const DotSpec &spec,
                            DotDims &dims) {
  int64_t block = p.outputBlock, blocks = ceilDiv(p.outputs, block);
  int64_t blocksOfTile = spec.contiguousColumns ? 1 : spec.tile.vectors;
  dims.columnTiles = blocks / blocksOfTile;
  dims.lineStrideA = p.window.stride[1] * padded.lineStride;
  dims.lineStrideC = p.window.output[2] * block;
  dims.batchStrideA = padded.planes * padded.planeStride;
  dims.batchStrideC = blocks * p.outputPixels() * block;
  dims.tilesPerGroup = spec.tile.vectorA ? 1 : dims.columnTiles / p.groups;
  dims.groupStrideA = spec.tile.vectorA ? padded.planeStride
                                        : p.channelsPerGroup() / padded.pixel * padded.planeStride;
  int64_t channels =
      spec.tile.vectorA ? 1 : ceilDiv(p.channelsPerGroup(), padded.pixel) * padded.pixel;
  int64_t depth = p.kernelPositions() * channels;
  dims.tileStrideB = depth * spec.tile.columns();
  dims.vectorStrideC = p.outputPixels() * block;
  dims.tileStrideC = blocksOfTile * dims.vectorStrideC;
}

/// The constant weights as the blocked way reads them.
static StepBuffer packedWeights(const ConvProblem &p, const DotSpec &spec) {
  nn::WeightSource weights = *p.context.values.weightOf(p.weights);
  if (spec.tile.vectorA)
    return StepBuffer::packed(weights,
                              fmt::format(FMT_COMPILE("depthwise {}"), spec.tile.columns()),
                              [columns = spec.tile.columns()](const Tensor &w, auto &) {
                                return packDepthwiseWeights(w, columns);
                              });
  int64_t block = p.inputBlock, columns = spec.tile.columns(), group = spec.tile.group;
  std::string how = fmt::format(FMT_COMPILE("conv {} {} {}"), block, columns, group);
  return StepBuffer::packed(weights, how, [=](const Tensor &w, auto &) {
    return packConvWeights(w, block, columns, group);
  });
}

std::optional<StepBuffer> native::packedConvBias(const ConvProblem &p, int64_t columns) {
  if (!p.bias)
    return std::nullopt;
  return StepBuffer::packed(*p.context.values.weightOf(p.bias),
                            fmt::format(FMT_COMPILE("pad {}"), columns),
                            [columns](const Tensor &t, auto &) { return padVector(t, columns); });
}

/// With the copy that has zeros around it.
static double costBlocked(const ConvProblem &p) {
  double elements = p.hasPads() ? double(p.context.elementsOf(p.input)) / double(p.batch) : 0;
  return costAfterPasses(p, 2 * elements * double(dtypeBytes(p.inputType)));
}

/// The kernel on vectors.
static LoweredStep stepOfVectors(const ConvProblem &p, const PaddedInput &padded, DotSpec spec,
                                 int64_t lineRows, DotDims dims, ConvProduct product) {
  addWindowLevels(p, padded, spec, dims);
  dims.lines = p.window.output[1];
  dims.coverRows(spec, lineRows);
  dims.splitLines(p.batch, p.flops, p.context.threads);
  return makeConvStep(p, kernelOf(std::move(spec)), dims, std::move(product));
}

/// Whether tiles of matrices take less time than vectors.
static bool isTiled(const ConvProblem &p, const PaddedInput &padded, const DotSpec &spec,
                    int64_t lineRows) {
  if (spec.tile.group == 1 || !TileUnit::has(p.context.target, spec.tile.types))
    return false;
  // Padding of floats may be no number, and a step would take it in.
  if (isFloat(p.inputType) && p.channelsPerGroup() % padded.pixel != 0)
    return false;
  int64_t step = stepElementsOf(p.inputType, padded.pixel);
  int64_t steps = ceilDiv(p.channelsPerGroup(), padded.pixel) * (padded.pixel / step);
  return tilesPay(spec.tile.types, lineRows, steps * p.kernelPositions(),
                  step * dtypeBytes(p.inputType));
}

/// The kernel on tiles of matrices: the same nest of k, in other steps.
static LoweredStep stepOfTiles(const ConvProblem &p, const PaddedInput &padded, DotSpec spec,
                               int64_t lineRows, DotDims dims, ConvProduct product) {
  int64_t step = stepElementsOf(p.inputType, padded.pixel);
  TiledDotDims all;
  all.dot = dims;
  size_t levels = 0;
  auto add = [&](DotDims::Level level) { all.dot.levels[levels++] = level; };
  add({ceilDiv(p.channelsPerGroup(), padded.pixel), padded.planeStride});
  if (p.kernelPositions() > 1) {
    add({p.window.kernel[1], p.window.dilation[1] * padded.lineStride});
    add({p.window.kernel[2], p.window.dilation[2] * padded.pixel});
  }
  if (padded.pixel > step)
    add({padded.pixel / step, step});
  TiledDotSpec tiled{std::move(spec)};
  tiled.dot.tile.levels.assign(levels, {});
  tiled.dot.heights = {};
  all.stepElements = step;
  all.coverRows(tiled, p.window.output[1], lineRows, step * dtypeBytes(p.inputType));
  double bytesOfA =
      double(padded.planes) * double(padded.planeStride) * double(dtypeBytes(p.inputType));
  all.splitLines(p.batch, p.flops, bytesOfA, p.context.threads);
  LoweredStep result = makeConvStep(p, kernelOf(std::move(tiled)), all.dot, std::move(product));
  result.dims = flattenDims(all);
  result.grain = chooseGrain(result.tasks, p.flops / kTileSpeed);
  return result;
}

static LoweringResult lowerBlocked(ConvProblem &p) {
  LoweredSteps result;
  PaddedInput padded = padInput(p, result);
  int64_t lineRows = p.isPointwise() ? p.outputPixels() : p.window.output[2];
  DotSpec spec = blockedSpec(p, padded, lineRows, p.context.target);
  DotDims dims;
  fillBlockedDims(p, padded, spec, dims);
  ConvProduct product{padded.buffer, packedWeights(p, spec), packedConvBias(p, spec.tile.columns()),
                      p.batch};
  auto stepOf = isTiled(p, padded, spec, lineRows) ? stepOfTiles : stepOfVectors;
  result.push_back(
      stepOf(p, padded, std::move(spec), lineRows, std::move(dims), std::move(product)));
  return result;
}

const ConvWay native::kBlockedConv = {refuseBlocked, costBlocked, lowerBlocked};
