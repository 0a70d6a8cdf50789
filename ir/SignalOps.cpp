//===- SignalOps.cpp - rules of transforms of signals ---------------------===//
#include "ir/SignalOps.h"
#include "ir/TypeRules.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::nn::detail;

InferredTypes DftOp::inferResultTypes(const ShapeFacts &facts) {
  if (failed(requireFloats(*this, getInput(), "input")) ||
      failed(requireScalarAxis(facts, *this, getAxis())))
    return failure();
  Type elementType = elementTypeOf(getInput());
  std::optional<Shape> input = facts.shapeOf(getInput());
  if (!input)
    return unrankedResult(elementType);
  if (failed(requireRankAtLeast(*this, *input, 2)))
    return failure();
  int64_t last = input->rank() - 1;
  if (const Dim &parts = (*input)[last]; parts.isStatic() && parts.size() != 1 && parts.size() != 2)
    return emitOpError("the last dimension must be 1 or 2, found ") << parts.size();
  if (std::optional<std::vector<int64_t>> axis = facts.integersOf(getAxis())) {
    FailureOr<int64_t> resolved = resolveAxis(*this, axis->front(), input->rank());
    if (failed(resolved))
      return failure();
    if (*resolved == last)
      return emitOpError("the last dimension, of complex numbers, is no axis");
  }
  DimVector dims = input->dims();
  dims[last] = Dim(2);
  return rankedResult(*this, Shape(std::move(dims)), elementType);
}

#define GET_OP_CLASSES
#include "ir/SignalOps.cpp.inc"

void NNDialect::registerSignalOps() {
  addOperations<
#define GET_OP_LIST
#include "ir/SignalOps.cpp.inc"
      >();
}
