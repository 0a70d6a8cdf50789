//===- LowerRowDots.cpp - products of a matrix with a vector --------------===//
#include "backends/native/cost/StepTimes.h"
#include "backends/native/kernels/MapKernel.h"
#include "backends/native/kernels/RowDotKernel.h"
#include "backends/native/lowering/MatrixProduct.h"
#include "backends/native/target/TileChoice.h"
#include "runtime/values/CeilDiv.h"

using namespace quern;
using namespace quern::native;

std::optional<Reason> native::refuseRowDots(const MatrixProduct &p) {
  if (p.n != 1 || p.batch != 1)
    return Reason{ReasonCode::Shape, "B is no vector"};
  if (!isFloat(p.dtype) || p.dtypeA != p.dtype || p.dtypeB != p.dtype)
    return Reason{ReasonCode::ElementType, "products of rows are of float32 and float64"};
  if (p.strideKA != 1 || p.strideKB != 1)
    return Reason{ReasonCode::Layout, "neighbours along k are apart"};
  if (!hasMaskedAccess(p.context.target, p.dtype))
    return Reason{ReasonCode::Missing, "the CPU does not load parts of vectors"};
  return std::nullopt;
}

/// Takes the program of `epilogue` away.
static LoweredStep stepOf(const MatrixProduct &p, EpilogueCode epilogue) {
  LoweredStep step;
  step.kernel = kernelOf(RowDotSpec{p.dtype, std::move(epilogue)});
  step.dims = flattenDims(RowDotDims{.rows = p.m, .depth = p.k, .rowStride = p.rowStrideA});
  step.tasks = ceilDiv(p.m, p.context.target.lanes(p.dtype));
  step.grain = chooseGrain(step.tasks, p.flops());
  return step;
}

double native::costOfRowDots(const MatrixProduct &p, double movingNs) {
  EpilogueCode none;
  none.program.inputs = {p.dtype};
  none.program.results = {0};
  return estimateStep(stepOf(p, std::move(none)), {.flops = p.flops()}, p.context.target)
      .nanoseconds(movingNs);
}

/// Of one column what is read for a row is there for each result, and what is read for a column is
/// there once.
static OperandAccess ofOneColumn(OperandAccess access) {
  return access == OperandAccess::PerRow      ? OperandAccess::Full
         : access == OperandAccess::PerColumn ? OperandAccess::Scalar
                                              : access;
}

LoweredStep native::lowerRowDots(const MatrixProduct &p, EpilogueCode epilogue) {
  for (OperandAccess &access : epilogue.access)
    access = ofOneColumn(access);
  return stepOf(p, std::move(epilogue));
}
