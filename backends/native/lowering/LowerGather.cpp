//===- LowerGather.cpp - gathers and scatters -----------------------------===//
//
// All of them are one walk through tuples of indices: see IndexedKernels. A scatter copies
// its operand first, unless it takes over the operand's memory.
//
//===----------------------------------------------------------------------===//

#include "backends/native/kernels/CopyKernels.h"
#include "backends/native/kernels/IndexedKernels.h"
#include "backends/native/kernels/MoveKernels.h"
#include "backends/native/lowering/LoweringTable.h"
#include "ir/GatherOps.h"
#include "ir/Types.h"
#include "runtime/values/Strides.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::plan;

/// Why elements of `data` cannot be moved, if they cannot.
static std::optional<Reason> refuseElements(Value data) {
  if (isMovable(dtypeOfValue(data)))
    return std::nullopt;
  return noCodeFor(dtypeOfValue(data));
}

/// A move at `indices` of a space of `sizes`, with a tuple for each of its positions.
static IndexedMove moveAt(Value data, Value indices, ArrayRef<int64_t> sizes) {
  IndexedMove move;
  move.dtype = dtypeOfValue(data);
  move.indexType = dtypeOfValue(indices);
  move.sizes = Sizes(sizes);
  move.tuples = move.slices = rowMajorStrides<Sizes>(sizes);
  move.data.assign(sizes.size(), 0);
  return move;
}

//===----------------------------------------------------------------------===//
// nn.gather
//===----------------------------------------------------------------------===//

/// The same indices for all that is around the axis.
static LoweringResult lower(nn::GatherOp op, const LoweringContext &context) {
  if (std::optional<Reason> reason = refuseElements(op.getInput()))
    return *reason;
  ArrayRef<int64_t> sizes = context.sizesOf(op.getInput());
  int64_t axis = context.values.axisOf(op), rank = static_cast<int64_t>(sizes.size());
  int64_t outer = productOf(sizes.take_front(axis)), inner = productOf(sizes.drop_front(axis + 1));
  // Where there is nothing to copy, the indices are still looked at.
  bool isEmpty = outer * inner == 0;
  IndexedMove move = moveAt(op.getInput(), op.getIndices(),
                            {isEmpty ? 1 : outer, context.elementsOf(op.getIndices())});
  move.data[0] = sizes[axis] * inner;
  move.tuples[0] = 0;
  move.axes = {{sizes[axis], inner}};
  move.slice = isEmpty ? 0 : inner;
  move.isElement = sizes[axis] > 0;
  for (int64_t d = axis + 1; d < rank; ++d)
    move.isElement &= context.fixedSize(op.getInput(), d) == 1;
  LoweredSteps lowered;
  appendGather(move, StepBuffer::of(op.getInput()), StepBuffer::of(op.getIndices()),
               StepBuffer::of(op.getResult()), lowered);
  return lowered;
}

//===----------------------------------------------------------------------===//
// Single elements
//===----------------------------------------------------------------------===//

/// An index for each element, of its place along the axis.
static IndexedMove elementsAt(Value data, Value indices, int64_t axis,
                              const LoweringContext &context) {
  IndexedMove move = moveAt(data, indices, context.sizesOf(indices));
  ArrayRef<int64_t> sizes = context.sizesOf(data);
  move.data = rowMajorStrides<Sizes>(sizes);
  move.axes = {{sizes[axis], std::exchange(move.data[axis], 0)}};
  // All indices are out of range when there is no element.
  move.isElement = context.elementsOf(data) > 0;
  move.slice = move.isElement ? 1 : 0;
  return move;
}

static LoweringResult lower(nn::GatherElementsOp op, const LoweringContext &context) {
  if (std::optional<Reason> reason = refuseElements(op.getInput()))
    return *reason;
  LoweredSteps lowered;
  appendGather(elementsAt(op.getInput(), op.getIndices(), context.values.axisOf(op), context),
               StepBuffer::of(op.getInput()), StepBuffer::of(op.getIndices()),
               StepBuffer::of(op.getResult()), lowered);
  return lowered;
}

//===----------------------------------------------------------------------===//
// Slices
//===----------------------------------------------------------------------===//

/// A tuple for each slice, of its place along the dimensions after the batch's.
static IndexedMove slicesAt(Value data, Value indices, int64_t batchDims,
                            const LoweringContext &context) {
  ArrayRef<int64_t> sizes = context.sizesOf(data), tuples = context.sizesOf(indices);
  IndexedMove move = moveAt(data, indices, tuples.drop_back());
  Sizes strides = rowMajorStrides<Sizes>(sizes);
  std::copy_n(strides.begin(), batchDims, move.data.begin());
  int64_t end = batchDims + tuples.back();
  for (int64_t d = batchDims; d < end; ++d)
    move.axes.push_back({sizes[d], strides[d]});
  bool isEmpty = context.elementsOf(data) == 0;
  move.slice = isEmpty ? 0 : productOf(sizes.drop_front(end));
  move.isElement = !isEmpty && end == static_cast<int64_t>(sizes.size());
  return move;
}

static LoweringResult lower(nn::GatherNDOp op, const LoweringContext &context) {
  if (std::optional<Reason> reason = refuseElements(op.getInput()))
    return *reason;
  LoweredSteps lowered;
  appendGather(slicesAt(op.getInput(), op.getIndices(), op.getBatchDims(), context),
               StepBuffer::of(op.getInput()), StepBuffer::of(op.getIndices()),
               StepBuffer::of(op.getResult()), lowered);
  return lowered;
}

//===----------------------------------------------------------------------===//
// Scatters
//===----------------------------------------------------------------------===//

template <typename Op>
static LoweringResult lowerScatter(Op op, const IndexedMove &move, const LoweringContext &context) {
  if (op.getReduction() != ScatterReduction::None && !isComputable(move.dtype))
    return Reason{ReasonCode::ElementType,
                  "no native code to combine " + std::string(dtypeName(move.dtype)) + " elements"};
  LoweredSteps lowered;
  StepBuffer input = StepBuffer::of(op.getInput()), result = StepBuffer::of(op.getResult());
  if (int64_t bytes = context.elementsOf(op.getInput()) * dtypeBytes(move.dtype); bytes > 0) {
    LoweredStep copy = copyBytes(input, result, bytes);
    copy.copiesWhole = true;
    copy.share = 0; // what is updated is the problem
    copy.overwritable = {0};
    lowered.push_back(std::move(copy));
  }
  appendScatter(move, op.getReduction(), result, StepBuffer::of(op.getIndices()),
                StepBuffer::of(op.getUpdates()), lowered);
  // Where there are no indices the copy is all.
  if (!lowered.empty())
    lowered.back().share = 1;
  return lowered;
}

static LoweringResult lower(nn::ScatterElementsOp op, const LoweringContext &context) {
  if (std::optional<Reason> reason = refuseElements(op.getInput()))
    return *reason;
  return lowerScatter(
      op, elementsAt(op.getInput(), op.getIndices(), context.values.axisOf(op), context), context);
}

static LoweringResult lower(nn::ScatterNDOp op, const LoweringContext &context) {
  if (std::optional<Reason> reason = refuseElements(op.getInput()))
    return *reason;
  return lowerScatter(op, slicesAt(op.getInput(), op.getIndices(), /*batchDims=*/0, context),
                      context);
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

std::span<const LoweringRow> native::gatherLowerings() {
  static const LoweringRow rows[] = {
      lowered<nn::GatherOp, lower>(),    lowered<nn::GatherElementsOp, lower>(),
      lowered<nn::GatherNDOp, lower>(),  lowered<nn::ScatterElementsOp, lower>(),
      lowered<nn::ScatterNDOp, lower>(),
  };
  return rows;
}
