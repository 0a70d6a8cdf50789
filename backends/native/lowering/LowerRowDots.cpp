//===- LowerRowDots.cpp - products of a matrix with a vector or a few -----===//
#include "backends/native/cost/StepTimes.h"
#include "backends/native/kernels/MapKernel.h"
#include "backends/native/kernels/PackWeights.h"
#include "backends/native/kernels/RowDotKernel.h"
#include "backends/native/lowering/MatrixProduct.h"
#include "backends/native/target/TileChoice.h"
#include "runtime/values/CeilDiv.h"

#include <fmt/compile.h>
#include <fmt/format.h>
#include <utility>

using namespace quern;
using namespace quern::native;

bool native::swapsRowDots(const MatrixProduct &p) {
  return p.m == 1 && p.n > 1 && p.n < p.context.target.lanes(p.dtype);
}

/// The vectors, on which the code depends; 0 where they are too many, or only a run knows.
static int64_t columnsOf(const MatrixProduct &p) {
  if (swapsRowDots(p))
    return 1;
  int64_t columns = p.columnAxisOfB < 0 ? 1 : p.context.fixedSize(p.b, p.columnAxisOfB).value_or(0);
  // One vector serves models whose sizes are open.
  if (p.n == 1)
    return 1;
  return columns <= RowDotSpec::mostColumns(p.context.target, p.dtype) ? columns : 0;
}

bool native::packsRowDots(const MatrixProduct &p) {
  return p.strideKB != 1 && !p.repeatedB && p.context.values.weightOf(p.b);
}

StepBuffer native::packForRowDots(const MatrixProduct &p) {
  MatrixPack pack{.batch = 1,
                  .k = p.k,
                  .n = p.n,
                  .strideK = p.strideKB,
                  .strideN = p.strideNB,
                  .tileColumns = 1,
                  .scale = 1};
  std::string how = fmt::format(FMT_COMPILE("vectors {} {} {}"), p.k, p.strideKB, p.strideNB);
  return StepBuffer::packed(
      *p.context.values.weightOf(p.b), how,
      [pack](const Tensor &view, const auto &done) { return packMatrix(view, pack, done); });
}

std::optional<Reason> native::refuseRowDots(const MatrixProduct &p) {
  if (!columnsOf(p) || p.batch != 1)
    return Reason{ReasonCode::Shape, "neither factor is a vector or a few"};
  if (!isFloat(p.dtype) || p.dtypeA != p.dtype || p.dtypeB != p.dtype)
    return Reason{ReasonCode::ElementType, "products of rows are of float32 and float64"};
  if (p.strideKA != 1 || (p.strideKB != 1 && !packsRowDots(p)))
    return Reason{ReasonCode::Layout, "neighbours along k are apart"};
  if (!hasMaskedAccess(p.context.target, p.dtype))
    return Reason{ReasonCode::Missing, "the CPU does not load parts of vectors"};
  return std::nullopt;
}

/// Takes the program of `epilogue` away.
static LoweredStep stepOf(const MatrixProduct &p, EpilogueCode epilogue) {
  LoweredStep step;
  step.kernel = kernelOf(RowDotSpec{p.dtype, columnsOf(p), std::move(epilogue)});
  int64_t strideOfB = packsRowDots(p) ? p.k : p.strideNB;
  RowDotDims dims{.rows = p.m, .depth = p.k, .rowStride = p.rowStrideA, .columnStride = strideOfB};
  if (swapsRowDots(p))
    dims = {.rows = p.n, .depth = p.k, .rowStride = strideOfB};
  step.dims = flattenDims(dims);
  step.tasks = ceilDiv(dims.rows, p.context.target.lanes(p.dtype));
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
/// there once; of one row the other way around.
static OperandAccess ofOneVector(OperandAccess access, OperandAccess ofResults,
                                 OperandAccess ofVector) {
  return access == ofResults  ? OperandAccess::Full
         : access == ofVector ? OperandAccess::Scalar
                              : access;
}

LoweredStep native::lowerRowDots(const MatrixProduct &p, EpilogueCode epilogue) {
  OperandAccess ofResults = OperandAccess::PerRow, ofVector = OperandAccess::PerColumn;
  if (swapsRowDots(p))
    std::swap(ofResults, ofVector);
  if (columnsOf(p) == 1)
    for (OperandAccess &access : epilogue.access)
      access = ofOneVector(access, ofResults, ofVector);
  return stepOf(p, std::move(epilogue));
}
