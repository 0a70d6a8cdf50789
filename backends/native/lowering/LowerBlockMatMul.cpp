//===- LowerBlockMatMul.cpp - products with weights of few bits -----------===//
//
// Weights are packed as small as they are and become float32 in registers: a row of A, which meets
// each of them once, takes as long as reading them does. A zero point that all share is taken off
// as they are packed, where what is left has a sign; others are applied to the sum of a block.
//
//===----------------------------------------------------------------------===//
#include "backends/native/kernels/DotKernel.h"
#include "backends/native/kernels/PackWeights.h"
#include "backends/native/lowering/LoweringTable.h"
#include "backends/native/target/TileChoice.h"
#include "backends/plan/ShapeEnvironment.h"
#include "ir/Constants.h"
#include "ir/FusionGroup.h"
#include "ir/NNDialect.h"
#include "ir/Types.h"
#include "runtime/values/CeilDiv.h"

#include <fmt/compile.h>
#include <fmt/format.h>

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::plan;

namespace {
/// a [m, k] times the transpose of weights [n, k].
struct BlockProduct {
  Value a, weights, scale, zero, result;
  int64_t m = 1, n = 1, k = 1, blockSize = 1;
  /// Of the weights as they are packed.
  DType type = DType::UInt8;
  /// What is taken off all weights as they are packed.
  int64_t offset = 0;
  /// Blocks have zero points of their own.
  bool isShifted = false;

  double flops() const { return 2.0 * double(m) * double(n) * double(k); }
};
} // namespace

/// The integer of a constant scalar; nullopt of others.
static std::optional<int64_t> scalarOf(Value value, const LoweringContext &context) {
  std::optional<nn::WeightSource> source = context.values.weightOf(value);
  if (!source || !context.sizesOf(value).empty())
    return std::nullopt;
  Expected<Tensor> view = source->view();
  if (!view)
    return std::nullopt;
  auto byte = *static_cast<const uint8_t *>(view->rawData());
  return isSignedInteger(dtypeOfValue(value)) ? static_cast<int8_t>(byte) : byte;
}

/// What the zero point leads to: of half the range, which is what quantizers take, weights become
/// signed. A reason when there is no native code for it.
static std::optional<Reason> resolveZero(BlockProduct &p, const LoweringContext &context) {
  if (nn::isNone(p.zero))
    return std::nullopt;
  int64_t half = int64_t{1} << (dtypeBits(p.type) - 1);
  if (isUnsignedInteger(p.type) && scalarOf(p.zero, context) == half) {
    p.offset = half;
    p.type = dtypeBits(p.type) == 2   ? DType::Int2
             : dtypeBits(p.type) == 4 ? DType::Int4
                                      : DType::Int8;
    return std::nullopt;
  }
  if (scalarOf(p.zero, context) == 0)
    return std::nullopt;
  p.isShifted = true;
  if (context.sizesOf(p.zero).empty())
    return Reason{ReasonCode::Broadcast, "a zero point of all weights but half their range"};
  if (p.blockSize % context.target.lanes(DType::Float32) != 0)
    return Reason{ReasonCode::Shape, "blocks are of no whole vectors"};
  return std::nullopt;
}

static std::optional<Reason> resolve(nn::BlockMatMulOp op, BlockProduct &p,
                                     const LoweringContext &context) {
  Operation *group = nn::groupOf(op);
  p.a = nn::outerValue(group, op.getA());
  p.weights = nn::outerValue(group, op.getWeights());
  p.scale = nn::outerValue(group, op.getScale());
  p.zero =
      nn::isNone(op.getZeroPoint()) ? op.getZeroPoint() : nn::outerValue(group, op.getZeroPoint());
  p.result = group->getResult(0);
  for (Value constant : {p.weights, p.scale, p.zero})
    if (!nn::isNone(constant) && !context.values.weightOf(constant))
      return Reason{ReasonCode::NotConstant, "weights, scales or zero points are not constant"};
  ArrayRef<int64_t> a = context.sizesOf(p.a), weights = context.sizesOf(p.weights);
  p.n = weights[0];
  p.k = weights[1];
  p.m = productOf(a.drop_back());
  if (p.m == 0 || p.n == 0 || p.k == 0)
    return Reason{ReasonCode::Shape, "an operand is empty"};
  p.blockSize = std::min(op.getBlockSize(), p.k);
  p.type = dtypeOfValue(p.weights);
  if (p.k % p.blockSize != 0 || p.blockSize % (32 / dtypeBits(p.type)) != 0)
    return Reason{ReasonCode::Shape, "blocks or the numbers in 32 bits are not whole"};
  return resolveZero(p, context);
}

/// Of one row, tiles are twice as wide where registers and columns allow it: elements of A and the
/// loop over k cost more beside weights that are made in registers than beside those that are read.
static TileShape chooseTile(const BlockProduct &p, bool oneRow, const Target &target) {
  TileShape shape = chooseGemmTile(target, DType::Float32, p.n, oneRow);
  constexpr int64_t kWide = 8;
  if (oneRow && target.vectorRegisters >= 32 && p.n % (kWide * target.lanes(DType::Float32)) == 0)
    shape.vectors = kWide;
  return shape;
}

static DotSpec specOf(const BlockProduct &p, Epilogue &epilogue, const LoweringContext &context) {
  bool oneRow = p.m == 1 && nn::shapeOf(p.a) && nn::shapeOf(p.a)->isStatic();
  TileShape shape = chooseTile(p, oneRow, context.target);
  DotSpec spec;
  spec.epilogue = EpilogueCode(epilogue);
  spec.tile.types = {DType::Float32, p.type, DType::Float32, spec.epilogue.resultType()};
  spec.tile.group = spec.tile.types.group();
  spec.tile.lanes = context.target.lanes(DType::Float32);
  spec.tile.vectors = shape.vectors;
  spec.tile.levels = {{DotSpec::kRuntime, spec.tile.group, oneRow ? 2 : 1}};
  spec.heights = shape.heights;
  spec.flat = true;
  spec.contiguousColumns = true;
  spec.maskColumns = p.n % spec.tile.columns() != 0;
  spec.scaledBlocks = true;
  spec.shiftedBlocks = p.isShifted;
  return spec;
}

static DotDims dimsOf(const BlockProduct &p, const DotSpec &spec, int64_t threads) {
  int64_t columns = spec.tile.columns();
  DotDims dims;
  dims.columnTiles = ceilDiv(p.n, columns);
  dims.tilesPerGroup = dims.columnTiles;
  dims.coverRows(spec, p.m);
  dims.splitLines({.flops = p.flops(), .threads = threads});
  dims.tileStrideB = p.k * columns * dtypeBits(p.type) / 8;
  dims.tileStrideC = columns;
  dims.rowStrideA = p.k;
  dims.rowStrideC = p.n;
  dims.columns = p.n;
  dims.blocks = p.k / p.blockSize;
  dims.blockSize = p.blockSize;
  dims.levels[0] = {p.blockSize / spec.tile.group, spec.tile.group};
  return dims;
}

/// The constant operands as the kernel reads them.
static void addConstants(const BlockProduct &p, const DotSpec &spec, const LoweringContext &context,
                         LoweredStep &step) {
  int64_t columns = spec.tile.columns();
  auto numbers = [&](Value value) {
    return StepBuffer::packed(
        *context.values.weightOf(value), fmt::format(FMT_COMPILE("blocks {}"), columns),
        [columns](const Tensor &view, auto &) { return packBlockNumbers(view, columns); });
  };
  step.buffers.push_back(numbers(p.scale));
  if (p.isShifted)
    step.buffers.push_back(numbers(p.zero));
}

static LoweringResult lower(nn::BlockMatMulOp op, const LoweringContext &context) {
  BlockProduct p;
  if (std::optional<Reason> reason = resolve(op, p, context))
    return *reason;
  auto rank = static_cast<int64_t>(context.sizesOf(p.result).size());
  auto epilogue = buildEpilogue(nn::groupOf(op), context, {{}, {rank - 1}});
  if (!epilogue)
    return epilogue.reason();
  Epilogue fused = epilogue.take();
  DotSpec spec = specOf(p, fused, context);
  DotDims dims = dimsOf(p, spec, context.threads);
  int64_t columns = spec.tile.columns(), group = spec.tile.group;
  LoweredStep step;
  step.buffers = {
      StepBuffer::of(p.a),
      StepBuffer::packed(*context.values.weightOf(p.weights),
                         fmt::format(FMT_COMPILE("few bits {} {} {}"), p.offset, group, columns),
                         [=, offset = p.offset](const Tensor &view, auto &) {
                           return packFewBits(view, offset, group, columns);
                         }),
      StepBuffer::of(p.result)};
  addConstants(p, spec, context, step);
  addOperands(fused, step);
  step.kernel = kernelOf(std::move(spec));
  step.dims = flattenDims(dims);
  step.tasks = dims.columnTiles * dims.lineChunks();
  step.grain = chooseGrain(step.tasks, p.flops());
  return oneStep(std::move(step));
}

std::span<const LoweringRow> native::blockMatMulLowerings() {
  static const LoweringRow rows[] = {lowered<nn::BlockMatMulOp, lower>()};
  return rows;
}
