//===- MovedParts.cpp - copies and fills of parts of tensors --------------===//
#include "backends/native/lowering/MovedParts.h"

#include "backends/native/emit/ElementTypes.h"
#include "runtime/values/Strides.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::plan;

CopySide native::viewOf(Value v, Sizes strides, int64_t offset) {
  return {StepBuffer::of(v, offset * dtypeBytes(dtypeOfValue(v))), std::move(strides)};
}
CopySide native::viewOf(Value v, const LoweringContext &context) {
  return viewOf(v, rowMajorStrides<Sizes>(context.sizesOf(v)));
}

std::optional<Reason> native::refuseMove(Operation *op) {
  for (Value v : op->getResults())
    if (!isMovable(dtypeOfValue(v)))
      return noCodeFor(dtypeOfValue(v));
  return std::nullopt;
}

/// The part of the elements of `whole` that a space of these sizes has.
static double partOf(Value whole, const Sizes &sizes, const LoweringContext &context) {
  return static_cast<double>(productOf(sizes)) / static_cast<double>(context.elementsOf(whole));
}

void native::copyPart(Value whole, const Sizes &sizes, CopySide from, CopySide to,
                      const LoweringContext &context, LoweredSteps &steps, ArrayRef<bool> lasting) {
  size_t first = steps.size();
  appendCopy(sizes, dtypeOfValue(whole), std::move(from), std::move(to), steps, lasting);
  setShares(steps, first, partOf(whole, sizes, context));
}

void native::fillPart(Value result, const Sizes &sizes, StepBuffer value, CopySide to,
                      const LoweringContext &context, LoweredSteps &steps) {
  size_t first = steps.size();
  appendFill(sizes, dtypeOfValue(result), std::move(value), std::move(to), steps);
  setShares(steps, first, partOf(result, sizes, context));
}
