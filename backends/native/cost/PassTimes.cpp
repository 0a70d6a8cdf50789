//===- PassTimes.cpp - how long passes over elements are expected to take -===//
//
// A row for each family of kernels: cycles by vectors, rows and tasks. Those of kernels without a
// row are expected to move a vector in a few cycles.
//
//===----------------------------------------------------------------------===//
#include "backends/native/cost/StepTimes.h"
#include "backends/native/kernels/AttentionKernel.h"
#include "backends/native/kernels/CopyKernels.h"
#include "backends/native/kernels/DepthwiseKernel.h"
#include "backends/native/kernels/IndexedKernels.h"
#include "backends/native/kernels/LineConvKernel.h"
#include "backends/native/kernels/MoveKernels.h"
#include "backends/native/kernels/NormalizationKernels.h"
#include "backends/native/kernels/PoolKernel.h"
#include "backends/native/kernels/RecurrentKernel.h"
#include "backends/native/kernels/ReduceKernel.h"
#include "backends/native/kernels/RowDotKernel.h"
#include "backends/native/kernels/SoftmaxKernel.h"
#include "backends/native/kernels/TileUnit.h"
#include "runtime/values/CeilDiv.h"

#include <array>
#include <bit>

using namespace quern;
using namespace quern::native;

template <class Dims> static Dims dimsOf(const LoweredStep &step) {
  std::array<int64_t, sizeof(Dims) / sizeof(int64_t)> numbers{};
  std::copy_n(step.dims.begin(), std::min(numbers.size(), step.dims.size()), numbers.begin());
  return std::bit_cast<Dims>(numbers);
}

namespace {
/// A step, and what it is done with.
struct Pass {
  const LoweredStep &step;
  const Target &target;
  CpuRates rates;

  double tasks() const { return double(step.tasks); }
  /// Vectors that hold so many elements of `dtype`.
  double vectors(int64_t elements, DType dtype = DType::Float32) const {
    return double(ceilDiv(elements, std::max<int64_t>(target.lanes(dtype), 1)));
  }
  /// That are multiplied in the time of a multiply-add of float32.
  double pairsPerProduct(const DotTypes &types) const {
    return types.a == DType::BFloat16 && target.has(Isa::Bf16Dot) ? rates.pairsPerProduct : 1;
  }
  StepEstimate of(double cycles, double exposed = 0.3) const {
    return {kCallNanoseconds + rates.nanoseconds(cycles), exposed};
  }
};
} // namespace

//===----------------------------------------------------------------------===//
// Elements one by one
//===----------------------------------------------------------------------===//

static StepEstimate estimateMap(const MapSpec &spec, const Pass &pass) {
  const std::vector<int64_t> &dims = pass.step.dims;
  int64_t inner = dims[0];
  double rows = double(dims[3]);
  constexpr size_t kOuterSizes = 6;
  for (int64_t i = 0; i < spec.outerRank; ++i)
    rows *= double(dims[kOuterSizes + static_cast<size_t>(i)]);
  DType dtype = spec.outputTypes.front();
  auto isScattered = [](MapSpec::InnerStride stride) {
    return stride == MapSpec::InnerStride::Any;
  };
  bool isScalar = llvm::any_of(spec.inputs, isScattered) || llvm::any_of(spec.outputs, isScattered);
  double operands = double(spec.inputs.size() + spec.outputs.size());
  constexpr double kOfOperand = 0.45, kOfRow = 3, kOfScalar = 1.2;
  double program = spec.program.cycles();
  double ofRow = isScalar ? double(inner) * (kOfScalar * operands + program)
                          : pass.vectors(inner, dtype) * (operands * kOfOperand + program);
  StepEstimate estimate = pass.of(rows * (ofRow + kOfRow));
  // A map may go over a part of a buffer.
  estimate.mostBytes = rows * double(inner) * double(dtypeBytes(dtype));
  return estimate;
}

static StepEstimate estimateTranspose(const TransposeSpec &spec, const Pass &pass) {
  const std::vector<int64_t> &dims = pass.step.dims;
  constexpr int64_t kSide = 16;
  double tiles = double(ceilDiv(dims[0], kSide) * ceilDiv(dims[1], kSide));
  for (int64_t i = 0; i < spec.outerRank; ++i)
    tiles *= double(dims[8 + 3 * static_cast<size_t>(i)]);
  constexpr double kOfTile = 55;
  double wide = double(kSide) / double(pass.target.lanes(DType::Float32));
  return pass.of(tiles * kOfTile * wide, 0.7);
}

static StepEstimate estimatePadHalo(const PadHaloSpec &, const Pass &pass) {
  const std::vector<int64_t> &dims = pass.step.dims;
  DType dtype = DType::Float32;
  constexpr double kOfVector = 1.1, kOfLine = 6;
  double line = 2 * pass.vectors(dims[4], dtype) + pass.vectors(dims[3] + dims[5], dtype);
  constexpr size_t kLinesOfPart = 8;
  double plane = double(dims[kLinesOfPart]) * (kOfVector * line + kOfLine) +
                 kOfVector * pass.vectors(dims[1] + dims[2], dtype);
  return pass.of(pass.tasks() * plane);
}

static StepEstimate estimateTakePixels(const TakePixelsSpec &spec, const Pass &pass) {
  const std::vector<int64_t> &dims = pass.step.dims;
  constexpr size_t kWidth = 2, kLinesOfPart = 6;
  constexpr double kOfVector = 1.1, kOfPixel = 1.5, kOfLine = 6;
  double pixel = 2 * kOfVector * pass.vectors(spec.pixel, spec.dtype) + kOfPixel;
  return pass.of(pass.tasks() * double(dims[kLinesOfPart]) *
                 (double(dims[kWidth]) * pixel + kOfLine));
}

static StepEstimate estimateUnfold(const UnfoldSpec &spec, const Pass &pass) {
  const std::vector<int64_t> &dims = pass.step.dims; // of each axis input, output, kernel, ...
  constexpr size_t kAxis = 6, kOutput = 1;
  double lines = pass.tasks() * double(dims[kOutput]) * double(dims[kAxis + kOutput]);
  constexpr double kOfVector = 2.4, kOfElement = 2, kOfLine = 3;
  int64_t width = dims[2 * kAxis + kOutput];
  double line =
      spec.unitStride ? kOfVector * pass.vectors(width, spec.dtype) : kOfElement * double(width);
  return pass.of(lines * (line + kOfLine));
}

static StepEstimate estimatePackColumns(const PackColumnsSpec &spec, const Pass &pass) {
  double rows = pass.tasks() * double(pass.step.dims[1]);
  constexpr double kOfVector = 2.4, kOfElement = 2;
  double row = spec.unitStride && spec.group == 1
                   ? kOfVector * pass.vectors(spec.tileColumns, spec.dtype)
                   : kOfElement * double(spec.tileColumns);
  return pass.of(rows * row);
}

/// Slices of a table lie anywhere: each waits for memory.
static StepEstimate estimateIndexed(const IndexedSpec &spec, const Pass &pass) {
  constexpr size_t kSlices = 3;
  double slices = double(pass.step.dims.size() > kSlices ? pass.step.dims[kSlices] : 1);
  double bytes = slices * double(pass.step.dims[0]) * double(dtypeBytes(spec.dtype));
  constexpr double kShareOfMemory = 4.5;
  StepEstimate estimate{
      kCallNanoseconds + slices * 20 + bytes / pass.rates.fromMemory * kShareOfMemory, 0};
  estimate.mostBytes = bytes;
  return estimate;
}

//===----------------------------------------------------------------------===//
// Rows and windows
//===----------------------------------------------------------------------===//

static StepEstimate estimateLayerNorm(const LayerNormSpec &spec, const Pass &pass) {
  constexpr double kOfVector = 4.4, kOfRow = 25;
  return pass.of(pass.tasks() * (kOfVector * pass.vectors(pass.step.dims[0], spec.dtype) + kOfRow));
}

static StepEstimate estimateInstanceNorm(const InstanceNormSpec &spec, const Pass &pass) {
  constexpr double kOfVector = 8, kOfPlane = 40;
  InstanceNormDims dims = dimsOf<InstanceNormDims>(pass.step);
  double share = spec.stage == InstanceNormStage::All       ? 1
                 : spec.stage == InstanceNormStage::Moments ? kShareOfMoments
                                                            : 1 - kShareOfMoments;
  int64_t elements = dims.partPixels * std::max<int64_t>(spec.block, 1);
  return pass.of(pass.tasks() *
                 (share * kOfVector * pass.vectors(elements, spec.dtype) + kOfPlane));
}

static StepEstimate estimateLrn(const LrnSpec &spec, const Pass &pass) {
  LrnDims dims = dimsOf<LrnDims>(pass.step);
  constexpr double kOfVector = 9, kOfTap = 0.7;
  double taps = double(dims.before + dims.after + 1);
  if (spec.block > 0)
    return pass.of(pass.tasks() * double(dims.chunk) * pass.vectors(dims.channels, spec.dtype) *
                   (kOfVector + kOfTap * taps));
  return pass.of(double(pass.step.tasks) / double(dims.chunks) *
                 pass.vectors(dims.plane, spec.dtype) * (kOfVector + kOfTap * taps));
}

/// What RowDim says of a reduction's tasks.
static double rowVectors(const Pass &pass, DType dtype, bool contiguous) {
  const std::vector<int64_t> &dims = pass.step.dims;
  double length = double(dims[kRowLength]);
  if (contiguous)
    return pass.tasks() * pass.vectors(dims[kRowLength], dtype);
  return pass.tasks() * length * pass.vectors(dims[kRowInner], dtype) /
         double(std::max<int64_t>(dims[kRowChunks], 1));
}

static StepEstimate estimateReduce(const ReduceSpec &spec, const Pass &pass) {
  constexpr double kOfVector = 0.6, kOfTask = 25;
  return pass.of(rowVectors(pass, spec.dtype, spec.contiguous) *
                     (kOfVector + spec.prologue.cycles()) +
                 pass.tasks() * (kOfTask + spec.epilogue.program.cycles()));
}

static StepEstimate estimateSoftmax(const SoftmaxSpec &spec, const Pass &pass) {
  constexpr double kOfVector = 14, kOfTask = 60;
  return pass.of(rowVectors(pass, spec.dtype, spec.contiguous) *
                     (kOfVector + spec.epilogue.program.cycles()) +
                 pass.tasks() * kOfTask);
}

static StepEstimate estimatePool(const PoolSpec &spec, const Pass &pass) {
  const std::vector<int64_t> &dims = pass.step.dims; // of each axis input, output, kernel, ...
  constexpr size_t kAxis = 7, kOutput = 1, kKernel = 2;
  double window = 1;
  for (size_t axis = 0; axis < 3; ++axis)
    window *= double(dims[kAxis * axis + kKernel]);
  int64_t results = dims[2 * kAxis + kOutput];
  double vectors = spec.block > 0 ? double(results) * pass.vectors(spec.block, spec.dtype)
                                  : pass.vectors(results, spec.dtype);
  constexpr double kOfTap = 0.9, kPlainTap = 2.5, kOfVector = 2, kOfTask = 40;
  double tap = spec.block > 0 ? kOfTap : kPlainTap;
  return pass.of(pass.tasks() *
                 (vectors * (window * tap + kOfVector + spec.epilogue.program.cycles()) + kOfTask));
}

//===----------------------------------------------------------------------===//
// Sums of products
//===----------------------------------------------------------------------===//

/// Of a row of the filter for a vector of sums, where several taps are multiplied at once: each
/// group by an instruction, after its bytes have been brought in order, for two windows at a time
/// where they are neighbours.
static double cyclesOfTapGroups(const DepthwiseSpec &spec, const Pass &pass) {
  constexpr double kOfGroup = 0.6, kOfOrder = 0.9, kOfWiderOrder = 0.7, kOfPairs = 3;
  int64_t lanes = pass.target.lanes(spec.types.accumulate);
  double groups = double(ceilDiv(spec.columns, spec.tapsAtOnce));
  double order = kOfOrder + (spec.lanes > lanes ? kOfWiderOrder : 0);
  if (spec.stride == 1)
    order /= 2;
  return groups * (kOfGroup * (pass.target.has(Isa::Vnni) ? 1 : kOfPairs) + order);
}

static StepEstimate estimateDepthwise(const DepthwiseSpec &spec, const Pass &pass) {
  auto dims = dimsOf<DepthwiseDims>(pass.step);
  double lines = pass.tasks() * double(dims.linesOfChunk), rows = double(dims.rows);
  double vectors = lines * double(dims.outputWidth) * pass.vectors(spec.lanes);
  double taps = vectors * rows * double(dims.columns) * double(spec.group);
  bool isEven = spec.cut != DepthwiseSpec::Cut::Anyhow;
  double edge =
      isEven ? 0 : 1 - double(dims.insideEnd - dims.insideBegin) / double(dims.outputWidth);
  constexpr double kOfTap = 0.38, kOfEvenTap = 0.4, kOfEdge = 0.25, kOfRow = 1;
  double ofTap = isEven ? kOfEvenTap : kOfTap + kOfEdge * edge;
  double ofVector = isEven ? 0.5 : 1.5, ofLine = isEven ? 8 : 14;
  double products = spec.tapsAtOnce > 1 ? vectors * rows * cyclesOfTapGroups(spec, pass)
                                        : taps * ofTap * 2 / pass.rates.productsPerCycle;
  return pass.of(products + vectors * (ofVector + spec.epilogue.program.cycles()) +
                     lines * (ofLine + rows * kOfRow),
                 0.55);
}

static StepEstimate estimateLineConv(const LineConvSpec &spec, const Pass &pass) {
  auto dims = dimsOf<LineConvDims>(pass.step);
  double planes = pass.tasks() / double(dims.parts), taps = double(dims.rows * spec.columns);
  double tilesOfPlane = double(dims.outputHeight * dims.columnTiles);
  constexpr double kOfTile = 12, kOfChannel = 4, kOfRow = 3, kOfVector = 0.6, kOfCopied = 2,
                   kOfLine = 20;
  auto ofTile = [&](int64_t outputs) {
    double sums = double(outputs * spec.vectors);
    double channel = taps * cyclesOfLineTap(outputs, spec.vectors, pass.rates) + kOfChannel +
                     (spec.rows == 0 ? double(dims.rows) * kOfRow : 0);
    return double(dims.channels) * channel + kOfTile +
           sums * (kOfVector + spec.epilogue.program.cycles());
  };
  double tiles = double(dims.tallTiles) * ofTile(spec.outputs);
  if (spec.hasLower)
    tiles += double(dims.lowerTiles) * ofTile(spec.outputs - 1);
  double copied = pass.tasks() * double(dims.channels * dims.copiedLines) *
                  (pass.vectors(dims.pitch, spec.types.b) * kOfCopied + kOfLine);
  return pass.of(planes * tilesOfPlane * tiles + copied, 0.6);
}

static StepEstimate estimateRowDots(const RowDotSpec &spec, const Pass &pass) {
  auto dims = dimsOf<RowDotDims>(pass.step);
  // Rows are loaded by whole vectors, of which one begins in a cycle of a unit, as do products.
  constexpr double kOfSum = 3, kOfTask = 20;
  double lanes = double(pass.target.lanes(spec.dtype)), columns = double(spec.columns);
  int64_t atOnce = spec.rowsAtOnce(pass.target);
  double ofVector = std::max(columns, 1 + columns / double(atOnce));
  double row = pass.vectors(dims.depth, spec.dtype) * ofVector / pass.rates.productsPerCycle;
  double results = lanes * columns * kOfSum + columns * spec.epilogue.program.cycles();
  return pass.of(
      double(ceilDiv(dims.rows, atOnce) * atOnce) * row + pass.tasks() * (kOfTask + results), 0.9);
}

static StepEstimate estimateAttention(const AttentionSpec &spec, const Pass &pass) {
  auto dims = dimsOf<AttentionDims>(pass.step);
  double heads = pass.tasks() / double(std::max<int64_t>(dims.chunks, 1));
  double queries = heads * double(dims.queries), lanes = double(pass.target.lanes(DType::Float32));
  double products = queries * double(dims.keys) * double(dims.size + dims.valueSize) /
                    double(spec.types().group());
  double scores = queries * double(ceilDiv(dims.keys, static_cast<int64_t>(lanes)));
  double keys = pass.tasks() * double(dims.keys) * double(dims.size + dims.valueSize) / lanes;
  constexpr double kOfProduct = 1.05, kOfScore = 11, kOfQuery = 100, kOfKey = 1.6, kOfTask = 700;
  // Tiles of matrices, whose scores go through memory, were measured on Granite Rapids.
  constexpr double kOfTiledProduct = 0.22, kOfTiledScore = 24;
  double ofProduct = spec.tiled ? kOfTiledProduct : kOfProduct / pass.pairsPerProduct(spec.types());
  double ofScore = spec.tiled ? kOfTiledScore : kOfScore;
  return pass.of(products / lanes / pass.rates.productsPerCycle * ofProduct + scores * ofScore +
                 queries * kOfQuery + keys * kOfKey + pass.tasks() * kOfTask);
}

static StepEstimate estimateRecurrent(const RecurrentSpec &spec, const Pass &pass) {
  auto dims = dimsOf<RecurrentDims>(pass.step);
  constexpr double kOfProduct = 0.46, kOfWeights = 1, kOfCell = 80, kOfStep = 65;
  constexpr int64_t kTileRows = 8;
  constexpr double kOfTiledProduct = 1.5;
  double gates = spec.cell == CellKind::Lstm ? 4 : spec.cell == CellKind::Gru ? 3 : 1;
  double steps = double(dims.steps * dims.directions), hidden = double(dims.hidden);
  double lanes = double(pass.target.lanes(spec.dtype));
  double weights = gates * hidden * hidden / lanes / double(spec.types().group());
  double products = std::max(weights * double(dims.batch) * kOfProduct,
                             weights * double(ceilDiv(dims.batch, kTileRows)) * kOfWeights);
  if (spec.tiled) {
    double rows = double(ceilDiv(dims.batch, TileUnit::kRows));
    products = weights * rows * kOfTiledProduct;
  } else {
    products /= pass.pairsPerProduct(spec.types());
  }
  double cells = double(dims.batch) * hidden / lanes * kOfCell;
  return pass.of(steps * (products + cells + kOfStep));
}

//===----------------------------------------------------------------------===//
// Families
//===----------------------------------------------------------------------===//

/// Of a family without a rule: what its problem demands, at rates that passes have in the mean.
static StepEstimate estimateAny(const StepCost &problem, const Pass &pass) {
  constexpr double kOfTask = 20, kBytesPerCycle = 16, kOperationsPerCycle = 6;
  return pass.of(pass.tasks() * kOfTask +
                 std::max(problem.bytes() / kBytesPerCycle, problem.flops / kOperationsPerCycle));
}

template <typename Spec, StepEstimate (*Rule)(const Spec &, const Pass &)>
static std::optional<StepEstimate> estimateIf(const Pass &pass) {
  const Spec *spec = specOf<Spec>(pass.step.kernel);
  return spec ? std::optional(Rule(*spec, pass)) : std::nullopt;
}

static StepEstimate estimateDotStep(const DotSpec &spec, const Pass &pass) {
  return estimateDot(spec, dimsOf<DotDims>(pass.step), pass.step.tasks, pass.target);
}
static StepEstimate estimateTiledStep(const TiledDotSpec &spec, const Pass &pass) {
  return estimateTiledDot(spec, dimsOf<TiledDotDims>(pass.step), pass.step.tasks, pass.target);
}
static StepEstimate estimateWinogradStep(const WinogradSpec &spec, const Pass &pass) {
  return estimateWinograd(spec, dimsOf<WinogradDims>(pass.step), pass.target);
}

StepEstimate native::estimateStep(const LoweredStep &step, const StepCost &problem,
                                  const Target &target) {
  static constexpr std::optional<StepEstimate> (*kRules[])(const Pass &) = {
      estimateIf<DotSpec, estimateDotStep>,
      estimateIf<MapSpec, estimateMap>,
      estimateIf<TransposeSpec, estimateTranspose>,
      estimateIf<WinogradSpec, estimateWinogradStep>,
      estimateIf<PadHaloSpec, estimatePadHalo>,
      estimateIf<TakePixelsSpec, estimateTakePixels>,
      estimateIf<LayerNormSpec, estimateLayerNorm>,
      estimateIf<DepthwiseSpec, estimateDepthwise>,
      estimateIf<LineConvSpec, estimateLineConv>,
      estimateIf<RowDotSpec, estimateRowDots>,
      estimateIf<AttentionSpec, estimateAttention>,
      estimateIf<PoolSpec, estimatePool>,
      estimateIf<UnfoldSpec, estimateUnfold>,
      estimateIf<PackColumnsSpec, estimatePackColumns>,
      estimateIf<ReduceSpec, estimateReduce>,
      estimateIf<SoftmaxSpec, estimateSoftmax>,
      estimateIf<IndexedSpec, estimateIndexed>,
      estimateIf<RecurrentSpec, estimateRecurrent>,
      estimateIf<TiledDotSpec, estimateTiledStep>,
      estimateIf<InstanceNormSpec, estimateInstanceNorm>,
      estimateIf<LrnSpec, estimateLrn>,
  };
  Pass pass{step, target, ratesOf(target)};
  for (auto rule : kRules)
    if (std::optional<StepEstimate> estimate = rule(pass))
      return *estimate;
  return estimateAny(problem, pass);
}

double native::nanosecondsToMove(double bytes, double distance, const CpuRates &rates) {
  // The rest of a cache has other things.
  constexpr double kShare = 0.75;
  if (distance <= kShare * rates.l2Bytes)
    return 0;
  return bytes / (distance <= kShare * rates.l3Bytes ? rates.fromL3 : rates.fromMemory);
}
