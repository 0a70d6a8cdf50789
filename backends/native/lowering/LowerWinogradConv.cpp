//===- LowerWinogradConv.cpp - small filters by Winograd's algorithm ------===//
#include "backends/native/cost/StepTimes.h"
#include "backends/native/kernels/WinogradKernel.h"
#include "backends/native/lowering/ConvWays.h"
#include "backends/native/target/TileChoice.h"
#include "runtime/values/CeilDiv.h"

#include <fmt/compile.h>
#include <fmt/format.h>

#include <numeric>

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::plan;

static WinogradImage imageOf(const ConvProblem &p) {
  auto axis = [&](int a) -> WinogradImage::Axis {
    return {p.window.output[a], p.window.kernel[a], p.window.stride[a]};
  };
  return {p.channels, p.outputs, p.groups, p.inputBlock, axis(1), axis(2)};
}

/// How many results, up to `most`, tiles have along an axis where the filter has one weight, which
/// all share: so many that few are beyond the image, and few tiles begin.
static int64_t resultsOfShared(int64_t size, int64_t most) {
  constexpr double kOfTile = 0.1;
  auto cost = [&](int64_t results) {
    return double(ceilDiv(size, results)) * (double(results) + kOfTile);
  };
  int64_t best = most;
  for (int64_t results = most - 1; results > 0; --results)
    if (cost(results) < cost(best))
      best = results;
  return best;
}

/// Of so many results along each axis, or fewer.
static WinogradTile tileOf(const WinogradImage &image, int64_t results) {
  auto resultsOf = [&](const WinogradImage::Axis &a) {
    if (a.taps == 1)
      return resultsOfShared(a.size, results);
    // 4 or 5 weights are a single filter then, of fewer points for each result than two.
    constexpr int64_t kOfSingle = 3;
    return a.stride == 1 && (a.taps == 4 || a.taps == 5) ? std::min(results, kOfSingle) : results;
  };
  auto axis = [&](const WinogradImage::Axis &a) -> WinogradAxis {
    return {resultsOf(a), a.taps, a.stride};
  };
  return {axis(image.rows), axis(image.columns)};
}

/// The results of the two ways.
static constexpr int64_t kResults[] = {2, 4};

static bool hasTile(const WinogradImage &image, int64_t results) {
  constexpr int64_t kMostStride = 2, kMostTaps = 7;
  for (const WinogradImage::Axis &axis : {image.rows, image.columns})
    if (axis.stride > kMostStride || axis.taps > kMostTaps)
      return false;
  return tileOf(image, results).pays();
}

bool native::hasWinogradTiles(const WinogradImage &image) {
  return llvm::any_of(kResults, [&](int64_t results) { return hasTile(image, results); });
}

static std::optional<Reason> refuseWinograd(const ConvProblem &p, int64_t results) {
  if (std::optional<Reason> reason = refuseBlocked(p))
    return reason;
  if (p.context.winograd == WinogradUse::Off)
    return Reason{ReasonCode::Form, "Winograd's algorithm is off"};
  if (p.dtype != DType::Float32 || p.inputType != p.dtype || p.weightsType != p.dtype)
    return Reason{ReasonCode::ElementType, "Winograd's algorithm is for float32"};
  if (p.inputBlock != p.outputBlock)
    return Reason{ReasonCode::Layout, "the image is not in blocks"};
  const WindowShape3 &w = p.window;
  bool isPlane = w.input[0] == 1 && w.kernel[0] == 1 && w.padBegin[0] == 0 && p.padEnd[0] == 0;
  for (int a : {1, 2})
    isPlane &= w.kernel[a] == 1 || w.dilation[a] == 1;
  if (!isPlane || p.isWithinBlocks() || !hasTile(imageOf(p), results))
    return Reason{ReasonCode::Attributes, "Winograd's algorithm is for small filters of whole "
                                          "blocks of channels, with strides of 1 or 2"};
  constexpr int64_t kMostChannels = 2048; // 4 to 14 MB of transformed inputs in each worker
  if (p.channels > kMostChannels)
    return Reason{ReasonCode::Shape, "there are too many channels for the caches"};
  return std::nullopt;
}

static int64_t tilesPerLine(const WinogradImage &image, const WinogradTile &tile) {
  return ceilDiv(image.columns.size, tile.columns.results);
}
static int64_t tilesPerImage(const WinogradImage &image, const WinogradTile &tile) {
  return ceilDiv(image.rows.size, tile.rows.results) * tilesPerLine(image, tile);
}
static int64_t tilesOf(const ConvProblem &p, const WinogradTile &tile) {
  return p.batch * tilesPerImage(imageOf(p), tile);
}

/// What lies a multiple of 1024 bytes apart has a few places in the first cache only.
static int64_t spread(int64_t elements, int64_t block) {
  constexpr int64_t kAlike = 256;
  return elements % kAlike == 0 ? elements + block : elements;
}

/// So many that their transformed inputs and sums stay in the second cache.
static int64_t fittingTiles(const WinogradImage &image, const WinogradTile &tile) {
  constexpr int64_t kCacheBytes = int64_t{640} << 10, kFewest = 14, kMost = 56, kPanel = 32;
  int64_t channels = ceilDiv(image.channels, image.block) * image.block;
  int64_t bytes = tile.points() * (channels + kPanel) * dtypeBytes(DType::Float32);
  return std::clamp(kCacheBytes / bytes, kFewest, kMost);
}

/// Tasks of one size, and some for each thread.
static int64_t chooseTilesPerTask(const ConvProblem &p, const WinogradTile &tile) {
  int64_t tiles = tilesOf(p, tile), tasks = ceilDiv(tiles, fittingTiles(imageOf(p), tile));
  if (p.context.threads > 1 && tasks > 1)
    tasks = ceilDiv(tasks, p.context.threads) * p.context.threads;
  return ceilDiv(tiles, std::min(tasks, tiles));
}

//===----------------------------------------------------------------------===//
// Lowering
//===----------------------------------------------------------------------===//

/// But for what follows the sums.
static WinogradSpec specOfSums(const WinogradImage &image, const WinogradTile &tile,
                               const Target &target) {
  // Tiles for any number of rows: other images, batches and threads have the same kernel.
  TileShape shape =
      chooseConvTile(target, kAnyLineRows, ceilDiv(image.outputs / image.groups, image.block));
  WinogradSpec spec;
  spec.tile = tile;
  spec.product.types = DotTypes::all(DType::Float32);
  spec.product.lanes = image.block;
  spec.product.vectors = shape.vectors;
  constexpr int64_t kUnroll = 2;
  // Rows of a block follow each other, so that one register has the place of all.
  spec.product.levels.push_back({.trip = DotTile::kRuntime, .strideA = DotTile::kRuntime});
  spec.product.levels.push_back({.trip = image.block, .strideA = 1, .unroll = kUnroll});
  // Of the last block only what are channels: the rest may be no numbers.
  spec.product.lastSteps = image.depth() % image.block;
  spec.product.rowStrideA = image.block;
  spec.heights = shape.heights;
  // What the second cache cannot keep beside the inputs is asked for ahead.
  constexpr int64_t kKeptBytes = int64_t{512} << 10;
  if (tile.weights() * image.depth() * image.outputs * dtypeBytes(DType::Float32) > kKeptBytes)
    spec.product.linesAhead = 2;
  return spec;
}

/// How tiles of products cover `rows` rows, and how they share in asking for the next matrix of
/// weights; not at all where they are too few for all of it: holes would mislead the CPU's own
/// prefetching.
static WinogradRows coverRows(const WinogradSpec &spec, int64_t depth, int64_t rows) {
  constexpr int64_t kLineBytes = 64;
  WinogradRows covered;
  covered.cover = coverRows(rows, spec.heights, spec.product.vectors);
  int64_t tiles = std::accumulate(covered.cover.begin(), covered.cover.end(), int64_t{0});
  int64_t bytes = depth * spec.product.columns() * dtypeBytes(DType::Float32);
  int64_t asked = tiles * depth * spec.product.linesAhead;
  if (asked == 0 || ceilDiv(bytes, asked) > kLineBytes)
    return covered;
  covered.aheadStride = ceilDiv(bytes, asked);
  covered.aheadShare = bytes / tiles;
  return covered;
}

/// Takes the epilogue's program away.
static WinogradSpec winogradSpec(ConvProblem &p, const WinogradTile &tile) {
  WinogradSpec spec = specOfSums(imageOf(p), tile, p.context.target);
  spec.hasBias = bool(p.bias);
  spec.epilogue = EpilogueCode(p.epilogue);
  return spec;
}

/// How much there is of everything, in tasks of `tilesPerTask`.
static WinogradDims dimsOfSums(const WinogradImage &image, const WinogradSpec &spec, int64_t batch,
                               int64_t tilesPerTask) {
  const WinogradTile &tile = spec.tile;
  WinogradDims dims;
  dims.tilesPerImage = tilesPerImage(image, tile);
  dims.tiles = batch * dims.tilesPerImage;
  dims.tilesPerLine = tilesPerLine(image, tile);
  dims.tilesPerTask = tilesPerTask;
  dims.outputBlocks = ceilDiv(image.outputs, image.block);
  dims.panels = dims.panelsPerPart = dims.outputBlocks / spec.product.vectors;
  dims.inputBlocks = ceilDiv(image.channels, image.block);
  dims.depth = image.depth();
  dims.panelsOfGroup = dims.panels / image.groups;
  int64_t tilesOfLast = dims.tiles - (ceilDiv(dims.tiles, tilesPerTask) - 1) * tilesPerTask;
  for (bool rowsShare : {false, true})
    for (bool columnsShare : {false, true}) {
      int64_t points = (rowsShare ? tile.rows.sharedPoints() : 1) *
                       (columnsShare ? tile.columns.sharedPoints() : 1);
      int64_t kind = WinogradDims::kindOf(rowsShare, columnsShare);
      dims.rows[kind] = coverRows(spec, dims.depth, points * tilesPerTask);
      dims.lastRows[kind] = coverRows(spec, dims.depth, points * tilesOfLast);
    }
  return dims;
}

static WinogradDims winogradDims(const ConvProblem &p, const WinogradSpec &spec,
                                 int64_t tilesPerTask) {
  WinogradDims dims = dimsOfSums(imageOf(p), spec, p.batch, tilesPerTask);
  int64_t tasks = ceilDiv(dims.tiles, tilesPerTask);
  if (tasks < p.context.threads) // each part transforms the inputs again
    dims.panelParts = std::min(dims.panels, ceilDiv(p.context.threads, tasks));
  dims.panelsPerPart = ceilDiv(dims.panels, dims.panelParts);
  dims.height = p.window.input[1];
  dims.width = p.window.input[2];
  dims.padTop = p.window.padBegin[1];
  dims.padLeft = p.window.padBegin[2];
  dims.outputHeight = p.window.output[1];
  dims.outputWidth = p.window.output[2];
  dims.blockStride = tilesPerTask * p.inputBlock;
  dims.inputPoint = spread(dims.inputBlocks * dims.blockStride, p.inputBlock);
  dims.sumPoint = spread(tilesPerTask * spec.product.columns(), p.outputBlock);
  return dims;
}

static LoweringResult lowerWinograd(ConvProblem &p, const WinogradTile &tile) {
  int64_t tilesPerTask = chooseTilesPerTask(p, tile);
  WinogradSpec spec = winogradSpec(p, tile);
  WinogradDims dims = winogradDims(p, spec, tilesPerTask);
  int64_t columns = spec.product.columns();
  ConvProduct product{
      .a = StepBuffer::of(p.input),
      .b = StepBuffer::packed(
          *p.context.values.weightOf(p.weights),
          fmt::format(FMT_COMPILE("winograd{} {}"), tile.label(), columns),
          [=](const Tensor &w, auto &) { return packWinogradWeights(w, tile, columns); }),
      .bias = packedConvBias(p, columns)};
  int64_t scratch = dims.scratchElements(spec) * dtypeBytes(p.dtype);
  LoweredStep step = startConvStep(p, kernelOf(std::move(spec)), std::move(product));
  step.dims = flattenDims(dims);
  step.tasks = ceilDiv(dims.tiles, tilesPerTask) * dims.panelParts;
  step.grain = chooseGrain(step.tasks, p.flops);
  step.scratchBytes = scratch;
  return oneStep(std::move(step));
}

//===----------------------------------------------------------------------===//
// The ways
//===----------------------------------------------------------------------===//

/// The weights of a tile, in those of the filter.
static double growthOf(const WinogradTile &tile) {
  return double(tile.weights()) / double(tile.rows.taps * tile.columns.taps);
}

double native::costOfWinograd(const WinogradImage &image, const Target &target) {
  double least = std::numeric_limits<double>::infinity();
  for (int64_t results : kResults) {
    if (!hasTile(image, results))
      continue;
    WinogradTile tile = tileOf(image, results);
    WinogradSpec spec = specOfSums(image, tile, target);
    int64_t tiles = tilesPerImage(image, tile);
    WinogradDims dims = dimsOfSums(image, spec, 1, std::min(tiles, fittingTiles(image, tile)));
    double weights = double(tile.weights()) * double(dims.depth) * double(image.outputs) *
                     double(dtypeBytes(DType::Float32));
    // Nothing says how large the model is: they come from memory.
    double waiting = weights / ratesOf(target).fromMemory;
    least = std::min(least, estimateWinograd(spec, dims, target).nanoseconds(waiting));
  }
  return least;
}

template <int64_t Results>
static constexpr ConvWay kWinograd = {
    [](const ConvProblem &p) { return refuseWinograd(p, Results); },
    [](ConvProblem &p) { return lowerWinograd(p, tileOf(imageOf(p), Results)); },
    [](const ConvProblem &p) { return growthOf(tileOf(imageOf(p), Results)); }};

constexpr ConvWay native::kWinograd2Conv = kWinograd<2>, native::kWinograd4Conv = kWinograd<4>;
