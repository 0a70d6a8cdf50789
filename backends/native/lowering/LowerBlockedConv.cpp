//===- LowerBlockedConv.cpp - convolution in channel blocks ---------------===//
//
// Directly, with constant weights packed: a row of pixels of the image, plain or blocked, with
// zeros around it where the window has pads, meets a vector of the result's channels.
//
//===----------------------------------------------------------------------===//
#include "backends/native/kernels/PackWeights.h"
#include "backends/native/kernels/TiledDotKernel.h"
#include "backends/native/lowering/ConvReading.h"
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

/// Of the filter, in elements of a column tile of packed weights.
static int64_t elementsOfTaps(const ConvProblem &p, const DotSpec &spec, int64_t taps) {
  return taps * p.pixel() * spec.tile.columns();
}

/// Where the first tile of `part` begins to read.
static void setStarts(const ConvProblem &p, const PaddedInput &padded, const ConvReading &reading,
                      const TapSegment &part, const DotSpec &spec, DotDims &dims) {
  ConvAxis columns = axisOf(p, kColumnAxis);
  int64_t column = startOf(columns, part.taps) + part.first * columns.stride + reading.left;
  int64_t taps = part.taps.first;
  dims.startA = part.taps.count > 0 ? column * p.pixel() : 0;
  if (!reading.clipsRows) {
    dims.startA += (startOf(axisOf(p, kRowAxis), reading.rows) + reading.top) * padded.lineStride;
    taps += reading.rows.first * p.window.kernel[kColumnAxis];
  }
  dims.startB = elementsOfTaps(p, spec, taps);
}

/// The dims of `part` but for the k nest, and how rows are split up.
static DotDims blockedDims(const ConvProblem &p, const PaddedInput &padded,
                           const ConvReading &reading, const TapSegment &part,
                           const DotSpec &spec) {
  DotDims dims;
  int64_t block = p.outputBlock, blocks = ceilDiv(p.outputs, block);
  int64_t blocksOfTile = spec.contiguousColumns ? 1 : spec.tile.vectors;
  dims.columnTiles = blocks / blocksOfTile;
  dims.lineStrideA = p.window.stride[kRowAxis] * padded.lineStride;
  dims.lineStrideC = p.places.line * block;
  if (part.folds > 1) {
    int64_t results = part.results / part.folds;
    dims.lineStrideA = results * p.window.stride[kColumnAxis] * p.pixel();
    dims.lineStrideC = results * p.places.column * block;
  }
  dims.batchStrideA = padded.planes * padded.planeStride;
  dims.batchStrideC = blocks * p.places.all * block;
  dims.tilesPerGroup = dims.columnTiles / p.groups;
  dims.groupStrideA = p.channelsPerGroup() / p.pixel() * padded.planeStride;
  int64_t planes = ceilDiv(p.channelsPerGroup(), p.pixel());
  dims.tileStrideB = elementsOfTaps(p, spec, planes * p.kernelPositions());
  dims.vectorStrideC = p.places.all * block;
  dims.tileStrideC = blocksOfTile * dims.vectorStrideC;
  if (reading.clipsRows)
    dims.clip = {p.window.input[kRowAxis], p.window.padBegin[kRowAxis], p.window.stride[kRowAxis],
                 p.window.dilation[kRowAxis], padded.lineStride};
  setStarts(p, padded, reading, part, spec, dims);
  return dims;
}

//===----------------------------------------------------------------------===//
// On vectors
//===----------------------------------------------------------------------===//

/// The tile of the blocked way. Takes the epilogue's program away.
static DotSpec blockedSpec(ConvProblem &p, const ConvReading &reading) {
  TileShape shape = reading.tileShape(p);
  DotSpec spec;
  spec.tile.types = p.types();
  spec.tile.lanes = p.context.target.channelBlock();
  // A pixel of an image in blocks has whole groups of channels.
  if (p.pixel() % spec.tile.types.group() == 0)
    spec.tile.group = spec.tile.types.group();
  spec.tile.vectors = shape.vectors;
  spec.heights = shape.heights;
  spec.tile.rowStrideA = (reading.takesPixels ? 1 : p.window.stride[kColumnAxis]) * p.pixel();
  spec.rowStrideC = p.places.column * p.outputBlock;
  spec.contiguousColumns = p.outputBlock > spec.tile.lanes;
  if (p.bias)
    spec.bias = OperandAccess::PerColumn;
  spec.epilogue = EpilogueCode(p.epilogue);
  return spec;
}

/// The k nest: channel block, kernel row, kernel column, lane; as code, but what is all runtime.
static void addLevels(const ConvProblem &p, const ConvReading &reading, DotSpec &spec) {
  int64_t group = spec.tile.group, pixel = p.pixel();
  bool hasStrideB = !reading.readsAll(p);
  // Padding of floats may be no number; that of integers meets weights of zero.
  int64_t rest = p.channelsPerGroup() % pixel, lastSteps = ceilDiv(rest, group);
  bool isZeroPadded = hasZeroPadding(p.input);
  if (isFloat(p.inputType) && (lastSteps * group < pixel || !isZeroPadded)) {
    spec.tile.lastSteps = lastSteps;
    spec.tile.lastElements = isZeroPadded ? 0 : rest % group;
  }
  spec.tile.levels.push_back({.hasStrideB = hasStrideB});
  // A small kernel width is unrolled; it is the innermost level unless lanes are.
  constexpr int64_t kMaxUnrolledWidth = 7;
  int64_t columns = reading.parts.front().taps.count;
  bool isUnrolled = pixel == 1 && columns > 1 && columns <= kMaxUnrolledWidth;
  if (reading.hasTapLevels(p)) {
    spec.tile.levels.push_back({.hasStrideB = hasStrideB});
    if (isUnrolled)
      spec.tile.levels.push_back({columns, p.window.dilation[kColumnAxis], columns});
    else
      spec.tile.levels.push_back({});
  }
  if (pixel > 1) {
    int64_t steps = pixel / group;
    // More is more to compile, and not faster.
    constexpr int64_t kUnroll = 2;
    spec.tile.levels.push_back({steps, group, std::min(kUnroll, steps)});
  }
}

/// The same as numbers.
static void fillLevels(const ConvProblem &p, const PaddedInput &padded, const ConvReading &reading,
                       const TapSegment &part, const DotSpec &spec, DotDims &dims) {
  int64_t group = spec.tile.group, columns = p.window.kernel[kColumnAxis];
  int64_t planes = spec.tile.lastSteps > 0 ? p.channelsPerGroup() / p.pixel()
                                           : ceilDiv(p.channelsPerGroup(), p.pixel());
  size_t level = 0;
  dims.levels[level++] = {planes, padded.planeStride, elementsOfTaps(p, spec, p.kernelPositions())};
  if (reading.hasTapLevels(p)) {
    dims.levels[level++] = {reading.clipsRows ? p.window.kernel[kRowAxis] : reading.rows.count,
                            p.window.dilation[kRowAxis] * padded.lineStride,
                            elementsOfTaps(p, spec, columns)};
    dims.levels[level++] = {part.taps.count, p.window.dilation[kColumnAxis] * p.pixel()};
  }
  if (p.pixel() > 1)
    dims.levels[level] = {p.pixel() / group, group};
}

/// The constant weights as the blocked way reads them.
static StepBuffer packedWeights(const ConvProblem &p, const DotSpec &spec) {
  int64_t block = p.inputBlock, columns = spec.tile.columns(), group = spec.tile.group;
  std::string how = fmt::format(FMT_COMPILE("conv {} {} {}"), block, columns, group);
  if (p.filter)
    how += fmt::format(" of {}", fmt::join(p.filter->positions, ","));
  return StepBuffer::packed(
      *p.context.values.weightOf(p.weights), how, [=, filter = p.filter](const Tensor &w, auto &) {
        return packConvWeights(w, filter ? *filter : FilterView::all(w), block, columns, group);
      });
}

std::optional<StepBuffer> native::packedConvBias(const ConvProblem &p, int64_t columns) {
  if (!p.bias)
    return std::nullopt;
  return StepBuffer::packed(*p.context.values.weightOf(p.bias),
                            fmt::format(FMT_COMPILE("pad {}"), columns),
                            [columns](const Tensor &t, auto &) { return padVector(t, columns); });
}

static LineWork lineWork(const ConvProblem &p, const PaddedInput &padded) {
  auto bytesOf = [](double elements, DType type) { return elements * double(dtypeBytes(type)); };
  double weights = double(p.outputs) * double(p.channelsPerGroup()) * double(p.kernelPositions());
  return {.batches = p.batch,
          .flops = p.flops,
          .bytesOfA = bytesOf(double(padded.planes) * double(padded.planeStride), p.inputType),
          .bytesOfB = bytesOf(weights, p.inputType),
          .threads = p.context.threads};
}

/// The kernel on vectors.
static void addVectorSteps(const ConvProblem &p, const PaddedInput &padded,
                           const ConvReading &reading, DotSpec spec, const ConvProduct &product,
                           LoweredSteps &steps) {
  addLevels(p, reading, spec);
  spec.flat = reading.isFlat;
  spec.clipsRows = reading.clipsRows;
  spec.tile.linesAhead = spec.tile.linesOfHalfAStep();
  KernelSpec kernel = kernelOf(spec);
  double taps = 0;
  for (const TapSegment &part : reading.parts)
    taps += double(part.results) * double(part.taps.count);
  for (const TapSegment &part : reading.parts) {
    DotDims dims = blockedDims(p, padded, reading, part, spec);
    fillLevels(p, padded, reading, part, spec, dims);
    ConvProduct ofPart = product;
    ofPart.firstResult += part.first * p.places.column * p.outputBlock;
    if (reading.parts.size() > 1)
      ofPart.share = double(part.results) * double(part.taps.count) / taps;
    dims.lines = p.window.output[kRowAxis] * part.folds;
    dims.coverRows(spec, reading.isFlat ? p.outputPixels() : part.results / part.folds);
    dims.shareAhead(spec);
    LineWork work = lineWork(p, padded);
    work.flops *= ofPart.share;
    dims.splitLines(work);
    steps.push_back(makeConvStep(p, kernel, dims, std::move(ofPart)));
  }
}

//===----------------------------------------------------------------------===//
// On tiles of matrices
//===----------------------------------------------------------------------===//

namespace {
/// How a row of the filter is read in a block of channels: steps of so many elements of A.
struct TileSteps {
  int64_t elements = 0;
  int64_t ofPixel = 1;
  /// Where the filter's columns lie side by side, whole rows of it: steps of a row; 0: by pixels.
  int64_t ofRow = 0;

  /// Of a row with `columns` columns.
  int64_t inRow(int64_t columns) const { return ofRow > 0 ? ofRow : columns * ofPixel; }
};
} // namespace

/// Pixels of few channels fill a step only together: seven of a first layer's four are 56 bytes.
static TileSteps planTileSteps(const ConvProblem &p, const ConvReading &reading) {
  TileSteps byPixel{stepElementsOf(p.inputType, p.pixel())};
  byPixel.ofPixel = p.pixel() / byPixel.elements;
  int64_t columns = reading.parts.front().taps.count;
  if (!reading.hasTapLevels(p) || p.window.dilation[kColumnAxis] != 1)
    return byPixel;
  int64_t group = TileUnit::kGroupBytes / dtypeBytes(p.inputType);
  int64_t elements = columns * p.pixel(), groups = elements / group;
  int64_t steps = ceilDiv(elements, stepElementsOf(p.inputType, elements));
  while (steps < byPixel.inRow(columns) && groups % steps != 0)
    ++steps;
  return steps < byPixel.inRow(columns) ? TileSteps{elements / steps, 1, steps} : byPixel;
}

/// Whether they take less time than vectors.
static bool isTiled(const ConvProblem &p, const ConvReading &reading, const DotSpec &spec) {
  if (spec.tile.group == 1 || !TileUnit::has(p.context.target, spec.tile.types))
    return false;
  if (hasOpenPadding(p) && !reading.isFlat && !planReading(p, /*onTiles=*/true).hasHalo())
    return false;
  TileSteps steps = planTileSteps(p, reading);
  int64_t rows = ceilDiv(p.channelsPerGroup(), p.pixel()) * reading.rows.count;
  return tilesPay(spec.tile.types, reading.lineRows(p),
                  rows * steps.inRow(reading.parts.front().taps.count),
                  steps.elements * dtypeBytes(p.inputType));
}

/// The same nest of k, in other steps.
static void addTileSteps(const ConvProblem &p, const PaddedInput &padded,
                         const ConvReading &reading, DotSpec spec, const ConvProduct &product,
                         LoweredSteps &steps) {
  TileSteps tileSteps = planTileSteps(p, reading);
  int64_t step = tileSteps.elements;
  spec.tile.levels.push_back({.hasStrideB = !reading.readsAll(p)});
  if (reading.hasTapLevels(p)) {
    spec.tile.levels.push_back({.hasStrideB = !reading.readsAll(p)});
    spec.tile.levels.push_back({});
  }
  TiledDotDims all;
  all.dot = blockedDims(p, padded, reading, reading.parts.front(), spec);
  fillLevels(p, padded, reading, reading.parts.front(), spec, all.dot);
  if (tileSteps.ofRow > 0) {
    all.dot.levels[spec.tile.levels.size() - 1] = {tileSteps.ofRow, step};
  } else if (tileSteps.ofPixel > 1) {
    all.dot.levels[spec.tile.levels.size()] = {tileSteps.ofPixel, step};
    spec.tile.levels.push_back({});
  }
  spec.flat = reading.isFlat;
  TiledDotSpec tiled{std::move(spec)};
  if (hasOpenPadding(p) && reading.lastChannels == 0) {
    tiled.partialStep = true;
    --all.dot.levels[0].trip;
    all.leftOver = p.channelsPerGroup() % p.pixel();
  }
  tiled.dot.heights = {};
  all.stepElements = step;
  all.coverRows(tiled, reading.lines(p), reading.lineRows(p), step * dtypeBytes(p.inputType));
  all.splitLines(lineWork(p, padded));
  all.splitK(tiled);
  all.shareAhead(tiled);
  int64_t scratchBytes = all.bytesOfPartialSums(tiled);
  LoweredStep result = makeConvStep(p, kernelOf(std::move(tiled)), all.dot, product);
  result.scratchBytes = scratchBytes;
  result.dims = flattenDims(all);
  result.grain = grainOfTiles(result.tasks, lineWork(p, padded));
  steps.push_back(std::move(result));
}

//===----------------------------------------------------------------------===//
// The way
//===----------------------------------------------------------------------===//

static std::optional<Reason> refuseDirect(const ConvProblem &p) {
  if (std::optional<Reason> reason = refuseBlocked(p))
    return reason;
  if (p.isWithinBlocks())
    return Reason{ReasonCode::Attributes, "its groups of channels are less than a block"};
  return std::nullopt;
}

namespace {
/// What computes a convolution.
struct BlockedPlan {
  ConvProblem &p;
  ConvReading reading;
  DotSpec spec;
  bool onTiles = false;
};
} // namespace

static BlockedPlan planBlocked(ConvProblem &p) {
  BlockedPlan plan{p, planReading(p, /*onTiles=*/false), {}};
  plan.spec = blockedSpec(p, plan.reading);
  plan.onTiles = isTiled(p, plan.reading, plan.spec);
  if (plan.onTiles)
    plan.reading = planReading(p, plan.onTiles);
  return plan;
}

/// All parts of an op read one copy, which has what lies outside for each of them.
static void shareHalo(MutableArrayRef<BlockedPlan> plans) {
  for (auto side : {&ConvReading::top, &ConvReading::bottom, &ConvReading::left,
                    &ConvReading::right, &ConvReading::lastChannels}) {
    int64_t most = 0;
    for (const BlockedPlan &plan : plans)
      most = std::max(most, plan.reading.*side);
    for (BlockedPlan &plan : plans)
      plan.reading.*side = most;
  }
}

LoweredSteps native::lowerBlockedParts(MutableArrayRef<ConvProblem> parts) {
  SmallVector<BlockedPlan, 4> plans;
  for (ConvProblem &p : parts)
    plans.push_back(planBlocked(p));
  shareHalo(plans);
  LoweredSteps steps;
  PaddedInput padded = padInput(parts.front(), plans.front().reading, steps);
  for (BlockedPlan &plan : plans) {
    const ConvProblem &p = plan.p;
    ConvProduct product{.a = padded.buffer,
                        .b = packedWeights(p, plan.spec),
                        .bias = packedConvBias(p, plan.spec.tile.columns()),
                        .batches = p.batch,
                        .firstResult = p.places.first * p.outputBlock};
    auto addSteps = plan.onTiles ? addTileSteps : addVectorSteps;
    addSteps(p, padded, plan.reading, std::move(plan.spec), product, steps);
  }
  return steps;
}

static LoweringResult lowerBlocked(ConvProblem &p) { return lowerBlockedParts(p); }

const ConvWay native::kBlockedConv = {refuseDirect, lowerBlocked};
