//===- ProductTimes.cpp - how long products are expected to take ----------===//
#include "backends/native/cost/StepTimes.h"

#include "runtime/values/CeilDiv.h"

using namespace quern;
using namespace quern::native;

/// Cycles of one step along k of a tile: all its multiply-adds, at the least the time until a sum
/// can be added to again, which `chains` steps share, or its loads, of which two begin in a cycle.
static double cyclesOfStep(double rows, double vectors, double parts, const CpuRates &rates,
                           double chains = 1) {
  constexpr double kLoadsPerCycle = 2;
  return std::max({parts * rows * vectors / rates.productsPerCycle,
                   parts * rates.productLatency / chains, (rows + vectors) / kLoadsPerCycle});
}

//===----------------------------------------------------------------------===//
// Dot
//===----------------------------------------------------------------------===//

/// Steps along k, but for rows of the filter that lie outside of the image.
static double stepsAlongK(const DotSpec &spec, const DotDims &dims) {
  double inner = 1;
  size_t levels = spec.tile.levels.size();
  for (size_t i = 1; i < levels; ++i)
    inner *= double(dims.levels[i].trip);
  double steps = inner * double(dims.levels[0].trip);
  if (spec.tile.lastSteps > 0)
    steps += inner / double(dims.levels[levels - 1].trip) * double(spec.tile.lastSteps);
  steps = steps * double(std::max<int64_t>(dims.blocks, 1)) + double(dims.leftOver > 0);
  if (!spec.clipsRows)
    return steps;
  int64_t met = 0, filterRows = dims.levels[1].trip;
  for (int64_t line = 0; line < dims.lines; ++line)
    for (int64_t row = 0; row < filterRows; ++row) {
      int64_t at = line * dims.clip.step - dims.clip.padTop + row * dims.clip.dilation;
      met += at >= 0 && at < dims.clip.rows;
    }
  return steps * double(met) / double(std::max<int64_t>(dims.lines * filterRows, 1));
}

/// How often the innermost loop begins for a tile.
static double innerLoops(const DotSpec &spec, const DotDims &dims) {
  double loops = double(std::max<int64_t>(dims.blocks, 1) * dims.partsOfK);
  for (size_t i = 0; i + 1 < spec.tile.levels.size(); ++i)
    loops *= double(dims.levels[i].trip);
  return loops;
}

StepEstimate native::estimateDot(const DotSpec &spec, const DotDims &dims, int64_t tasks,
                                 const Target &target) {
  // Beside the products: where the innermost loop begins and ends, of a tile, of a line of them,
  // and of storing a vector.
  constexpr double kOfLoop = 6, kOfTile = 5, kOfLine = 40, kOfVector = 0.3;
  CpuRates rates = ratesOf(target);
  double steps = stepsAlongK(spec, dims), loops = innerLoops(spec, dims);
  double parts =
      double(chooseEngine(target, spec.tile.types, spec.tile.group, spec.tile.lanes).parts);
  // As long as several of float32, where pairs of bfloat16 take so long.
  if (spec.tile.group > 1 && spec.tile.types.a == DType::BFloat16 && target.has(Isa::Bf16Dot))
    parts /= rates.pairsPerProduct;
  double vectors = double(spec.tile.vectors), line = kOfLine;
  double ofVector = kOfVector + spec.epilogue.program.cycles();
  for (size_t i = 0; i < spec.heights.size(); ++i) {
    double rows = double(spec.heights[i]);
    double step = cyclesOfStep(rows, vectors, parts, rates, double(spec.tile.chains));
    line += double(dims.tiles[i]) *
            (steps * step + loops * kOfLoop + kOfTile + rows * vectors * ofVector);
  }
  double lines = double(tasks) / double(dims.lineChunks()) * (spec.flat ? 1 : double(dims.lines));
  // The loads of a tile wait for memory, unless they were asked for while others were multiplied.
  constexpr double kExposed = 0.9, kExposedAhead = 0.35;
  return {kCallNanoseconds + rates.nanoseconds(lines * line),
          spec.tile.linesAhead > 0 ? kExposedAhead : kExposed};
}

//===----------------------------------------------------------------------===//
// Tiles of matrices
//===----------------------------------------------------------------------===//

StepEstimate native::estimateTiledDot(const TiledDotSpec &spec, const TiledDotDims &dims,
                                      int64_t tasks, const Target &target) {
  CpuRates rates = ratesOf(target);
  double steps = double(dims.leftOver > 0), whole = 1;
  for (size_t i = 0; i < spec.dot.tile.levels.size(); ++i)
    whole *= double(dims.dot.levels[i].trip);
  steps += whole;
  // A tile of 16 columns takes a cycle for each row, but not less than its loads.
  constexpr double kLoads = 12, kOfTile = 100, kOfVector = 1.5;
  double rows = double(dims.firstRows + dims.secondRows), vectors = double(spec.dot.tile.vectors);
  double ofVector = kOfVector + spec.dot.epilogue.program.cycles();
  double units = double(tasks) / double(dims.dot.lineChunks()) * double(dims.dot.lines);
  double tiles = units * double(std::max<int64_t>(dims.tilesOfLine, 1));
  double tile = vectors * (steps * std::max(rows, kLoads) + rows * ofVector) + kOfTile;
  return {kCallNanoseconds + rates.nanoseconds(tiles * tile), 0.9};
}

//===----------------------------------------------------------------------===//
// Winograd
//===----------------------------------------------------------------------===//

/// Of transforming the inputs of a tile in a block of channels; sums take half of that.
static double cyclesOfTransform(const WinogradTile &tile, const CpuRates &rates) {
  // Vectors go to the second cache and come from it, by halves where units are half as wide.
  constexpr double kOfVector = 1.11, kOfHalves = 3.5, kOfOperation = 1.63;
  double ofVector = kOfVector + (rates.productsPerCycle < 2 ? kOfHalves : 0);
  auto operations = [](WinogradFilter filter) {
    if (filter.isShared())
      return 0.0;
    auto pairs = double(filter.pairs()), edges = filter.hasZero() ? 2.0 : 1.0;
    return 2 * pairs * pairs + edges * pairs;
  };
  double sum = ofVector * double(tile.points());
  for (const WinogradFilter &rows : tile.rows.parts())
    for (const WinogradFilter &columns : tile.columns.parts())
      sum += kOfOperation * (operations(rows) * double(columns.points()) +
                             operations(columns) * double(rows.points()));
  return sum;
}

namespace {
/// Of all points that share their weights alike: how many weights there are for a channel and an
/// output, and the cycles of all products with them.
struct WinogradProducts {
  double weights = 0, cycles = 0;
};
} // namespace

/// One for each WinogradDims::kindOf.
static std::array<WinogradProducts, 4> productsOf(const WinogradSpec &spec,
                                                  const WinogradDims &dims, const CpuRates &rates) {
  constexpr double kShortest = 1.6;
  auto stepsOf = [&](const TileCover &cover) {
    double cycles = 0;
    for (size_t i = 0; i < spec.heights.size(); ++i) {
      double step = cyclesOfStep(double(spec.heights[i]), double(spec.product.vectors), 1, rates);
      cycles += double(cover[i]) * std::max(step, kShortest * rates.productLatency);
    }
    return cycles;
  };
  auto weightsOf = [](const WinogradAxis &axis, bool share) {
    return double(share ? axis.weights() - axis.ownPoints() : axis.ownPoints());
  };
  double tasks = double(ceilDiv(dims.tiles, dims.tilesPerTask));
  std::array<WinogradProducts, 4> all;
  for (bool rowsShare : {false, true})
    for (bool columnsShare : {false, true}) {
      int64_t kind = WinogradDims::kindOf(rowsShare, columnsShare);
      double weights =
          weightsOf(spec.tile.rows, rowsShare) * weightsOf(spec.tile.columns, columnsShare);
      double steps =
          stepsOf(dims.rows[kind].cover) * (tasks - 1) + stepsOf(dims.lastRows[kind].cover);
      all[kind] = {weights, weights * steps * double(dims.panels) * double(dims.depth)};
    }
  return all;
}

/// The share of the time that weights take to come from memory which is waited for. Those that few
/// rows meet come later than they are multiplied, though others take long.
static double exposedWeights(const WinogradSpec &spec, const WinogradDims &dims,
                             const std::array<WinogradProducts, 4> &products,
                             const CpuRates &rates) {
  if (spec.product.linesAhead == 0)
    return 1;
  double ofWeight = double(dims.depth * dims.panels * spec.product.columns()) *
                    double(dtypeBytes(DType::Float32)) / rates.fromMemory;
  double computing = 0, moving = 0, together = 0;
  for (const WinogradProducts &some : products) {
    double ofSome = rates.nanoseconds(some.cycles), ofTheirs = some.weights * ofWeight;
    computing += ofSome;
    moving += ofTheirs;
    together += std::max(ofSome, ofTheirs);
  }
  double late = (together - std::max(computing, moving)) / std::min(computing, moving);
  return rates.waitsForWinograd + std::max(0.0, 1 - rates.waitsForWinograd) * late;
}

StepEstimate native::estimateWinograd(const WinogradSpec &spec, const WinogradDims &dims,
                                      const Target &target) {
  CpuRates rates = ratesOf(target);
  std::array<WinogradProducts, 4> products = productsOf(spec, dims, rates);
  double product = 0;
  for (const WinogradProducts &some : products)
    product += some.cycles;
  double ofInputs = cyclesOfTransform(spec.tile, rates);
  double ofSums = ofInputs / 2 + double(spec.tile.results()) * spec.epilogue.program.cycles();
  // Each part of the panels transforms the inputs again.
  double transforms = double(dims.tiles) * (ofInputs * double(dims.inputBlocks * dims.panelParts) +
                                            ofSums * double(dims.outputBlocks));
  constexpr double kBeside = 1500;
  return {kBeside + rates.nanoseconds(product + transforms),
          exposedWeights(spec, dims, products, rates)};
}
