//===- FloatBuilder.cpp - arithmetic that math ops are expanded into ------===//
#include "backends/native/emit/FloatBuilder.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace quern::native;

Value FloatBuilder::polynomial(Value x, std::initializer_list<double> c) {
  const double *next = c.end() - 1;
  Value sum = constant(*next);
  while (next != c.begin())
    sum = multiplyAdd(sum, x, constant(*--next));
  return sum;
}

Value FloatBuilder::atMost(Value x, double bound) {
  return select(compare(Predicate::OGT, x, bound), constant(bound), x);
}

Value FloatBuilder::atLeast(Value x, double bound) {
  return select(compare(Predicate::OLT, x, bound), constant(bound), x);
}

Value FloatBuilder::anyLane(Value condition) {
  if (!isa<VectorType>(condition.getType()))
    return condition;
  return create<vector::ReductionOp>(vector::CombiningKind::OR, condition);
}

Value FloatBuilder::truncated(Value x) {
  // By way of int32, which every x86-64 converts without a call.
  return toFloat(create<arith::FPToSIOp>(like(ops.getI32Type()), x));
}

Value FloatBuilder::isOdd(Value a) {
  return create<arith::CmpIOp>(arith::CmpIPredicate::ne, andBits(a, integer(1)), integer(0));
}

Value FloatBuilder::splat(TypedAttr element) {
  if (auto vector = dyn_cast<VectorType>(like(element.getType())))
    element = SplatElementsAttr::get(vector, element);
  return create<arith::ConstantOp>(element);
}
