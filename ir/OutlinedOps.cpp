//===- OutlinedOps.cpp - what stands for bodies ---------------------------===//
#include "ir/OutlinedOps.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;

InferredTypes FailOp::inferResultTypes(const ShapeFacts &) {
  SmallVector<InferredType, 1> types;
  for (Type type : getResultTypes())
    types.push_back({elementTypeOf(type), shapeOf(type)});
  return types;
}

#define GET_OP_CLASSES
#include "ir/OutlinedOps.cpp.inc"

void NNDialect::registerOutlinedOps() {
  addOperations<
#define GET_OP_LIST
#include "ir/OutlinedOps.cpp.inc"
      >();
}
