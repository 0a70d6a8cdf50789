//===- LowerWinogradConv.cpp - 3 x 3 convolution by Winograd's algorithm --===//
#include "backends/native/kernels/WinogradKernel.h"
#include "backends/native/lowering/ConvWays.h"
#include "backends/native/lowering/Way.h"
#include "backends/native/target/TileChoice.h"
#include "runtime/values/CeilDiv.h"

#include <fmt/compile.h>
#include <fmt/format.h>

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::plan;

static std::optional<Reason> refuseWinograd(const ConvProblem &p) {
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
    isPlane &= w.kernel[a] == 3 && w.stride[a] == 1 && w.dilation[a] == 1;
  if (!isPlane || p.groups != 1)
    return Reason{ReasonCode::Attributes,
                  "Winograd's algorithm is for 3 x 3 filters of all channels, at every pixel"};
  constexpr int64_t kMostChannels = 2048; // 4 MB of transformed inputs in each worker
  if (p.channels > kMostChannels)
    return Reason{ReasonCode::Shape, "there are too many channels for the caches"};
  return std::nullopt;
}

static WinogradImage imageOf(const ConvProblem &p) {
  return {p.channels, p.outputs, p.inputBlock, p.window.output[1], p.window.output[2]};
}

static int64_t tilesPerImage(const WinogradImage &image, WinogradTile tile) {
  return ceilDiv(image.height, tile.results) * ceilDiv(image.width, tile.results);
}
static int64_t tilesOf(const ConvProblem &p, WinogradTile tile) {
  return p.batch * tilesPerImage(imageOf(p), tile);
}

/// Channels in whole blocks.
static int64_t depthOf(const WinogradImage &image) {
  return ceilDiv(image.channels, image.block) * image.block;
}

/// What lies a multiple of 1024 bytes apart has a few places in the first cache only.
static int64_t spread(int64_t elements, int64_t block) {
  constexpr int64_t kAlike = 256;
  return elements % kAlike == 0 ? elements + block : elements;
}

/// So many that their transformed inputs and sums stay in the second cache.
static int64_t fittingTiles(const WinogradImage &image, WinogradTile tile) {
  constexpr int64_t kCacheBytes = int64_t{640} << 10, kFewest = 14, kMost = 56, kPanel = 32;
  int64_t bytes = tile.points() * (depthOf(image) + kPanel) * dtypeBytes(DType::Float32);
  return std::clamp(kCacheBytes / bytes, kFewest, kMost);
}

/// Tasks of one size, and some for each thread.
static int64_t chooseTilesPerTask(const ConvProblem &p, WinogradTile tile) {
  int64_t tiles = tilesOf(p, tile), tasks = ceilDiv(tiles, fittingTiles(imageOf(p), tile));
  if (p.context.threads > 1 && tasks > 1)
    tasks = ceilDiv(tasks, p.context.threads) * p.context.threads;
  return ceilDiv(tiles, std::min(tasks, tiles));
}

//===----------------------------------------------------------------------===//
// Cost
//===----------------------------------------------------------------------===//

/// The products; the weights, which are larger than those of the direct way and are read once for
/// each task; the transforms of tiles.
static double costOfTiles(const WinogradImage &image, WinogradTile tile, const Target &target) {
  auto tiles = double(tilesPerImage(image, tile)), points = double(tile.points());
  double matrix = double(depthOf(image)) * double(image.outputs);
  double cost = nanoseconds({.flops = 2 * points * tiles * matrix}, DType::Float32, target);
  double weightBytes = points * matrix * double(dtypeBytes(DType::Float32));
  // What one task has read is nearer for the next; half is read while the rest is multiplied.
  constexpr double kNearer = 4, kBeside = 2;
  double tasks = std::max(1.0, tiles / double(fittingTiles(image, tile)));
  double bytes = weightBytes * (1 + (tasks - 1) / kNearer) / kBeside;
  cost += nanoseconds({.bytesRead = bytes}, DType::Float32, target);
  // Operations on vectors, loads and stores; their number by count of the code.
  double ofInputs = tile.results == 2 ? 64 : 240, ofSums = tile.results == 2 ? 56 : 200;
  constexpr double kPerNanosecond = 6;
  double blocks = ofInputs * double(ceilDiv(image.channels, image.block)) +
                  ofSums * double(ceilDiv(image.outputs, image.block));
  return cost + tiles * blocks / kPerNanosecond;
}

double native::costOfWinograd(const WinogradImage &image, const Target &target) {
  return std::min(costOfTiles(image, {2}, target), costOfTiles(image, {4}, target));
}

//===----------------------------------------------------------------------===//
// Lowering
//===----------------------------------------------------------------------===//

/// Takes the epilogue's program away.
static WinogradSpec winogradSpec(ConvProblem &p, WinogradTile tile) {
  // Tiles for any number of rows: other images, batches and threads have the same kernel.
  TileShape shape =
      chooseConvTile(p.context.target, kAnyLineRows, ceilDiv(p.outputs, p.outputBlock));
  WinogradSpec spec;
  spec.results = tile.results;
  spec.product.types = DotTypes::all(p.dtype);
  spec.product.lanes = p.outputBlock;
  spec.product.vectors = shape.vectors;
  constexpr int64_t kUnroll = 4;
  spec.product.levels.push_back({DotTile::kRuntime, 1, kUnroll});
  spec.heights = shape.heights;
  spec.hasBias = bool(p.bias);
  spec.epilogue = EpilogueCode(p.epilogue);
  return spec;
}

static WinogradDims winogradDims(const ConvProblem &p, const WinogradSpec &spec,
                                 int64_t tilesPerTask) {
  WinogradTile tile = spec.tile();
  WinogradDims dims;
  dims.tiles = tilesOf(p, tile);
  dims.tilesPerImage = tilesPerImage(imageOf(p), tile);
  dims.tilesPerLine = ceilDiv(p.window.output[2], tile.results);
  dims.tilesPerTask = tilesPerTask;
  dims.panels = ceilDiv(p.outputs, p.outputBlock) / spec.product.vectors;
  int64_t tasks = ceilDiv(dims.tiles, tilesPerTask);
  if (tasks < p.context.threads) // each part transforms the inputs again
    dims.panelParts = std::min(dims.panels, ceilDiv(p.context.threads, tasks));
  dims.panelsPerPart = ceilDiv(dims.panels, dims.panelParts);
  dims.inputBlocks = ceilDiv(p.channels, p.inputBlock);
  dims.height = p.window.input[1];
  dims.width = p.window.input[2];
  dims.padTop = p.window.padBegin[1];
  dims.padLeft = p.window.padBegin[2];
  dims.outputBlocks = ceilDiv(p.outputs, p.outputBlock);
  dims.outputHeight = p.window.output[1];
  dims.outputWidth = p.window.output[2];
  dims.depth = depthOf(imageOf(p));
  dims.rowStride = spread(dims.depth, p.inputBlock);
  dims.inputPoint = spread(tilesPerTask * dims.rowStride, p.inputBlock);
  dims.sumPoint = spread(tilesPerTask * spec.product.columns(), p.outputBlock);
  dims.cover = coverRows(tilesPerTask, spec.heights, spec.product.vectors);
  dims.lastCover =
      coverRows(dims.tiles - (tasks - 1) * tilesPerTask, spec.heights, spec.product.vectors);
  return dims;
}

static LoweringResult lowerWinograd(ConvProblem &p, WinogradTile tile) {
  int64_t tilesPerTask = chooseTilesPerTask(p, tile);
  WinogradSpec spec = winogradSpec(p, tile);
  WinogradDims dims = winogradDims(p, spec, tilesPerTask);
  int64_t block = p.inputBlock, columns = spec.product.columns();
  ConvProduct product{
      .a = StepBuffer::of(p.input),
      .b = StepBuffer::packed(
          *p.context.values.weightOf(p.weights),
          fmt::format(FMT_COMPILE("winograd{} {} {}"), tile.results, block, columns),
          [=](const Tensor &w, auto &) { return packWinogradWeights(w, tile, block, columns); }),
      .bias = packedConvBias(p, columns)};
  int64_t scratch = dims.scratchElements(spec) * dtypeBytes(p.dtype);
  LoweredStep step = startConvStep(p, kernelOf(std::move(spec)), std::move(product));
  step.dims = flattenDims(dims);
  step.tasks = ceilDiv(dims.tiles, tilesPerTask) * dims.panelParts;
  step.grain = chooseGrain(step.tasks, p.flops);
  step.scratchBytes = scratch;
  return oneStep(std::move(step));
}

template <int64_t Results>
static constexpr ConvWay kWinograd = {
    refuseWinograd,
    [](const ConvProblem &p) { return costOfTiles(imageOf(p), {Results}, p.context.target); },
    [](ConvProblem &p) { return lowerWinograd(p, {Results}); }};

constexpr ConvWay native::kWinograd2Conv = kWinograd<2>, native::kWinograd4Conv = kWinograd<4>;
