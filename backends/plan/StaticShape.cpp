//===- StaticShape.cpp - types and sizes of statically shaped values ------===//
#include "backends/plan/StaticShape.h"

#include "ir/Types.h"

#include "mlir/IR/BuiltinTypes.h"

#include <functional>
#include <numeric>

using namespace mlir;
using namespace quern;
using namespace quern::plan;

DType plan::dtypeOfValue(Value value) {
  return nn::dtypeOf(cast<TensorType>(value.getType()).getElementType());
}

ArrayRef<int64_t> plan::sizesOf(Value value) {
  return cast<RankedTensorType>(value.getType()).getShape();
}

int64_t plan::elementsOf(Value value) {
  return cast<RankedTensorType>(value.getType()).getNumElements();
}

int64_t plan::productOf(ArrayRef<int64_t> sizes) {
  return std::accumulate(sizes.begin(), sizes.end(), int64_t{1}, std::multiplies<>());
}
