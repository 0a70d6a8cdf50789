//===- LowerAttention.cpp - attention -------------------------------------===//

#include "backends/native/emit/ElementTypes.h"
#include "backends/native/kernels/AttentionKernel.h"
#include "backends/native/kernels/TileUnit.h"
#include "backends/native/lowering/LoweringTable.h"
#include "ir/AttentionOps.h"
#include "runtime/values/CeilDiv.h"

#include <algorithm>

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::plan;

static Expected<AttentionShape> shapeOf(nn::AttentionOp op, const LoweringContext &context) {
  auto sizesOf = [&](Value operand) {
    return nn::isNone(operand) ? ArrayRef<int64_t>() : context.sizesOf(operand);
  };
  return attentionShape({sizesOf(op.getQuery()), sizesOf(op.getKey()), sizesOf(op.getValue()),
                         sizesOf(op.getMask()), sizesOf(op.getCondition()), op.getQueryPerm(),
                         op.getKeyPerm(), op.getValuePerm(), op.getResultPerm()});
}

/// How the mask or the condition is read. One that has one column by chance is read as if it
/// had several, where there are no more keys.
static std::optional<OperandAccess> accessOf(Value value, const AttentionOperand &operand) {
  if (nn::isNone(value))
    return std::nullopt;
  return operand.strides[3] == 0 ? OperandAccess::PerRow : OperandAccess::Full;
}

/// The columns of two tiles of matrices.
constexpr int64_t kTileVectors = 2;

/// Whether a TileUnit multiplies keys of `size` elements, 0 if only a run tells.
static bool isTiled(const AttentionSpec &spec, int64_t size, const Target &target) {
  return TileUnit::has(target, spec.types()) && AttentionSpec::isWholeTiles(size) &&
         spec.scoreVectors % kTileVectors == 0;
}

static AttentionSpec makeSpec(nn::AttentionOp op, const AttentionShape &shape,
                              const LoweringContext &context) {
  AttentionSpec spec;
  spec.factors = dtypeOfValue(op.getQuery());
  spec.dtype = dtypeOfValue(op.getResult());
  spec.lanes = context.target.lanes(spec.dtype);
  int64_t size = context.fixedSize(op.getQuery(), op.getQueryPerm()[3]).value_or(0),
          valueSize = context.fixedSize(op.getValue(), op.getValuePerm()[3]).value_or(0);
  spec.scoreVectors = chooseGemmTile(context.target, spec.dtype, 0).vectors;
  spec.valueVectors = chooseGemmTile(context.target, spec.dtype, valueSize).vectors;
  spec.tiled = isTiled(spec, size, context.target);
  if (spec.tiled)
    spec.valueVectors = kTileVectors;
  spec.scoreHeights = chooseCellHeights(context.target, spec.scoreVectors);
  spec.valueHeights = chooseCellHeights(context.target, spec.valueVectors);
  spec.scale = op.getScaleFactor().convertToDouble();
  spec.softcap = op.getSoftcap().convertToDouble();
  spec.mask = accessOf(op.getMask(), shape.mask);
  spec.condition = accessOf(op.getCondition(), shape.condition);
  spec.hiddenScore = op.getHiddenScore().convertToDouble();
  if (std::optional<Type> type = op.getScoreType())
    spec.scoreType = nn::dtypeOf(*type);
  spec.roundSums = op.getRoundSums();
  spec.hasScale = !nn::isNone(op.getScale());
  spec.causal = op.getCausal();
  spec.hasOffset = !nn::isNone(op.getOffset());
  spec.zeroMaskedRows = op.getZeroMaskedRows();
  constexpr int64_t kLast = 3;
  spec.rowsOfKeys = op.getKeyPerm()[3] == kLast || shape.key.strides[2] != 1;
  spec.stridedQuery = op.getQueryPerm()[3] != kLast;
  int64_t group = spec.types().group();
  spec.maskSize = size == 0 || size % (spec.lanes * group) != 0;
  spec.partialGroup = group > 1 && (size == 0 || size % group != 0);
  spec.maskValueSize = valueSize == 0 || valueSize % (spec.valueVectors * spec.lanes) != 0;
  return spec;
}

/// Tasks have as many rows as keep their scores and sums in the second cache, for each of them
/// packs all keys and copies all values; fewer where threads would have nothing to do.
static AttentionDims makeDims(const AttentionSpec &spec, const AttentionShape &shape,
                              int64_t threads) {
  constexpr int64_t kMostElements = 72 << 10, kFewestRows = 96, kMostRows = 384, kMinRows = 24,
                    kTasksPerThread = 4;
  int64_t ofRow = AttentionSpec::kBlock + shape.valueSize;
  int64_t maxRows = std::clamp(kMostElements / ofRow, kFewestRows, kMostRows);
  int64_t chunks = ceilDiv(shape.queries, maxRows);
  if (threads > 1) {
    int64_t wanted = ceilDiv(kTasksPerThread * threads, shape.batch * shape.heads);
    chunks = std::max(chunks, std::min(wanted, ceilDiv(shape.queries, kMinRows)));
  }
  AttentionDims dims = AttentionDims::of(shape);
  int64_t height = spec.scoreHeights.front();
  dims.rows = ceilDiv(ceilDiv(shape.queries, chunks), height) * height;
  dims.rows = std::min(dims.rows, shape.queries);
  dims.chunks = ceilDiv(shape.queries, dims.rows);
  return dims;
}

/// Why there is no native code, if there is none.
static std::optional<Reason> refuse(const AttentionSpec &spec, const AttentionShape &shape) {
  constexpr int64_t kLargestHead = 4096;
  bool isNarrow = spec.factors == DType::BFloat16 && spec.dtype == DType::Float32;
  if (!isWideFloat(spec.factors) && !isNarrow)
    return Reason{ReasonCode::ElementType,
                  "attention is native for float32 and float64 only, and for bfloat16 with sums "
                  "of float32"};
  if (isNarrow && spec.stridedQuery)
    return Reason{ReasonCode::Layout, "the elements of queries of bfloat16 are scattered"};
  if (shape.size > kLargestHead || shape.valueSize > kLargestHead)
    return Reason{ReasonCode::Limit, "the heads of attention have more than 4096 elements"};
  bool hasRows = shape.key.strides[3] == 1 || shape.size <= 1;
  if (spec.rowsOfKeys ? !hasRows : shape.key.strides[2] != 1)
    return Reason{ReasonCode::Layout, "the elements of keys are scattered"};
  if ((shape.value.strides[3] != 1 || shape.result.strides[3] != 1) && shape.valueSize > 1)
    return Reason{ReasonCode::Layout, "the elements of values are scattered"};
  return std::nullopt;
}

static std::vector<StepBuffer> buffersOf(nn::AttentionOp op) {
  std::vector<StepBuffer> buffers = {StepBuffer::of(op.getQuery()), StepBuffer::of(op.getKey()),
                                     StepBuffer::of(op.getValue()), StepBuffer::of(op.getResult())};
  for (Value operand : {op.getMask(), op.getScale(), op.getOffset(), op.getCondition()})
    if (!nn::isNone(operand))
      buffers.push_back(StepBuffer::of(operand));
  return buffers;
}

static LoweringResult lower(nn::AttentionOp op, const LoweringContext &context) {
  Expected<AttentionShape> resolved = shapeOf(op, context);
  if (!resolved)
    return Reason{ReasonCode::Shape, resolved.status().message()};
  const AttentionShape &shape = *resolved;
  LoweredSteps lowered;
  if (shape.batch == 0 || shape.heads == 0 || shape.queries == 0 || shape.valueSize == 0)
    return lowered; // the result is empty
  AttentionSpec spec = makeSpec(op, shape, context);
  if (std::optional<Reason> reason = refuse(spec, shape))
    return *reason;
  AttentionDims dims = makeDims(spec, shape, context.threads);
  CheckedSize scratch = dims.scratch(spec);
  if (!scratch.valid())
    return Reason{ReasonCode::Limit, "the scratch memory of attention overflows"};

  LoweredStep step;
  step.buffers = buffersOf(op);
  step.dims = flattenDims(dims);
  step.tasks = shape.batch * shape.heads * dims.chunks;
  step.scratchBytes = scratch.value();
  double rows = double(shape.batch) * double(shape.heads) * double(shape.queries);
  double perScore = double(shape.size) + double(shape.valueSize);
  step.grain = chooseGrain(step.tasks, 2 * rows * double(shape.keys) * perScore);
  step.kernel = kernelOf(spec);
  lowered.push_back(std::move(step));
  return lowered;
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

std::span<const LoweringRow> native::attentionLowerings() {
  static const LoweringRow rows[] = {
      lowered<nn::AttentionOp, lower>(),
  };
  return rows;
}
