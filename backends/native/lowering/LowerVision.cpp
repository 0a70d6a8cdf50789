//===- LowerVision.cpp - sampling -----------------------------------------===//
#include "backends/native/lowering/LowerVision.h"
#include "backends/native/kernels/GridSampleKernel.h"
#include "backends/plan/ValueTable.h"
#include "ir/Types.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::plan;

static bool isWideFloat(DType dtype) { return dtype == DType::Float32 || dtype == DType::Float64; }

LoweringResult native::lower(nn::GridSampleOp op, const LoweringContext &context) {
  ArrayRef<int64_t> input = context.sizesOf(op.getInput()),
                    points = context.sizesOf(op.getPoints());
  GridSampleSpec spec{op.getMode(),
                      op.getPadding(),
                      op.getAlignCorners(),
                      static_cast<int64_t>(input.size()) - 2,
                      dtypeOfValue(op.getResult()),
                      dtypeOfValue(op.getPoints())};
  if (!isWideFloat(spec.dtype) || !isWideFloat(spec.points))
    return LoweringResult::refuse("sampling is native for float32 and float64 only");
  if (!spec.isNative())
    return LoweringResult::refuse("no native code for this mode with this padding");
  if (context.elementsOf(op.getInput()) == 0 || context.elementsOf(op.getResult()) == 0)
    return LoweringResult::refuse("an operand is empty");
  int64_t perImage = context.elementsOf(op.getPoints()) / points[0] / spec.axes;
  return LoweringResult::of(sampleGrid(
      StepBuffer::of(op.getInput()), StepBuffer::of(op.getPoints()), StepBuffer::of(op.getResult()),
      spec, {input[0], input[1], perImage, input.drop_front(2)}));
}
