//===- LowerVision.cpp - sampling and pooling regions ---------------------===//
#include "backends/native/emit/ElementTypes.h"
#include "backends/native/kernels/GridSampleKernel.h"
#include "backends/native/kernels/RoiAlignKernel.h"
#include "backends/native/lowering/LoweringTable.h"
#include "backends/plan/ShapeEnvironment.h"
#include "ir/Types.h"
#include "ir/VisionOps.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::plan;

static LoweringResult lower(nn::GridSampleOp op, const LoweringContext &context) {
  ArrayRef<int64_t> input = context.sizesOf(op.getInput()),
                    points = context.sizesOf(op.getPoints());
  GridSampleSpec spec{op.getMode(),
                      op.getPadding(),
                      op.getAlignCorners(),
                      static_cast<int64_t>(input.size()) - 2,
                      dtypeOfValue(op.getResult()),
                      dtypeOfValue(op.getPoints())};
  if (!isWideFloat(spec.dtype) || !isWideFloat(spec.points))
    return Reason{ReasonCode::ElementType, "sampling is native for float32 and float64 only"};
  if (!spec.isNative())
    return Reason{ReasonCode::Attributes, "no native code for this mode with this padding"};
  if (context.elementsOf(op.getInput()) == 0 || context.elementsOf(op.getResult()) == 0)
    return Reason{ReasonCode::Shape, "an operand is empty"};
  int64_t perImage = context.elementsOf(op.getPoints()) / points[0] / spec.axes;
  return oneStep(sampleGrid(StepBuffer::of(op.getInput()), StepBuffer::of(op.getPoints()),
                            StepBuffer::of(op.getResult()), spec,
                            {input[0], input[1], perImage, input.drop_front(2)}));
}

static LoweringResult lower(nn::RoiPoolOp op, const LoweringContext &context) {
  ArrayRef<int64_t> sizes = context.sizesOf(op.getInput());
  RoiAlignSpec spec{dtypeOfValue(op.getInput()), dtypeOfValue(op.getImages()),
                    op.getKind() == ReduceKind::Max, op.getHalfPixel(), op.getSamplingRatio() <= 0};
  if (op.getWholePixels())
    return Reason{ReasonCode::Attributes, "no native code for pooling whole pixels"};
  if (!isWideFloat(spec.dtype))
    return Reason{ReasonCode::ElementType,
                  "pooling regions is native for float32 and float64 only"};
  if (op.getSamplingRatio() > kMaxRoiSamples)
    return Reason{ReasonCode::Limit, "so many samples"};
  if (context.elementsOf(op.getInput()) == 0 || context.elementsOf(op.getResult()) == 0)
    return Reason{ReasonCode::Shape, "an operand is empty"};
  RoiAlignShape shape{sizes[0],
                      sizes[1],
                      sizes[2],
                      sizes[3],
                      context.sizesOf(op.getRois())[0],
                      op.getHeight(),
                      op.getWidth(),
                      std::max<int64_t>(op.getSamplingRatio(), 0),
                      op.getSpatialScale().convertToDouble()};
  return oneStep(poolRegions(spec, shape, StepBuffer::of(op.getInput()),
                             StepBuffer::of(op.getRois()), StepBuffer::of(op.getImages()),
                             StepBuffer::of(op.getResult())));
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

std::span<const LoweringRow> native::visionLowerings() {
  static const LoweringRow rows[] = {
      lowered<nn::GridSampleOp, lower>(),
      lowered<nn::RoiPoolOp, lower>(),
  };
  return rows;
}
