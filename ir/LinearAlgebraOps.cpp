//===- LinearAlgebraOps.cpp - rules of linear algebra ---------------------===//
#include "ir/LinearAlgebraOps.h"
#include "ir/TypeRules.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::nn::detail;

InferredTypes DetOp::inferResultTypes(const ShapeFacts &facts) {
  if (failed(requireFloats(*this, getInput(), "input")))
    return failure();
  std::optional<Shape> shape = facts.shapeOf(getInput());
  if (!shape)
    return unrankedResult(elementTypeOf(getInput()));
  if (failed(requireRankAtLeast(*this, *shape, 2)))
    return failure();
  int64_t batch = shape->rank() - 2;
  if (failed(requireDim(*this, (*shape)[batch + 1], (*shape)[batch], "the width of a matrix")))
    return failure();
  DimVector dims(shape->dims().begin(), shape->dims().begin() + batch);
  return rankedResult(*this, Shape(std::move(dims)), elementTypeOf(getInput()));
}

#define GET_OP_CLASSES
#include "ir/LinearAlgebraOps.cpp.inc"

void NNDialect::registerLinearAlgebraOps() {
  addOperations<
#define GET_OP_LIST
#include "ir/LinearAlgebraOps.cpp.inc"
      >();
}
