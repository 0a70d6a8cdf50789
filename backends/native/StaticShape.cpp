//===- StaticShape.cpp - types and sizes of statically shaped values ------===//
#include "backends/native/StaticShape.h"

#include "ir/Types.h"

#include "mlir/IR/BuiltinTypes.h"

#include <functional>
#include <numeric>

using namespace mlir;
using namespace quern;
using namespace quern::native;

DType native::dtypeOfValue(Value value) {
  return nn::dtypeOf(cast<TensorType>(value.getType()).getElementType());
}

ArrayRef<int64_t> native::sizesOf(Value value) {
  return cast<RankedTensorType>(value.getType()).getShape();
}

int64_t native::elementsOf(Value value) {
  return cast<RankedTensorType>(value.getType()).getNumElements();
}

int64_t native::productOf(ArrayRef<int64_t> sizes) {
  return std::accumulate(sizes.begin(), sizes.end(), int64_t{1}, std::multiplies<>());
}
