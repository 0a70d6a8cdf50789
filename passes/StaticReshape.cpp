//===- StaticReshape.cpp - reshapes whose result shape is known -----------===//
#include "passes/StaticReshape.h"

#include "ir/Constants.h"
#include "ir/NNDialect.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;

Value passes::createStaticReshape(OpBuilder &builder, Location loc, Value value,
                                  ArrayRef<int64_t> sizes, Layout layout) {
  Value shape = createConstant(builder, loc, Tensor::ofInts({sizes.begin(), sizes.end()}));
  RankedTensorType type = tensorType(Shape::fromSizes(sizes), elementTypeOf(value), layout);
  return builder.create<ReshapeOp>(loc, type, value, shape, /*allowzero=*/true);
}
