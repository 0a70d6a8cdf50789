//===- ValueTable.cpp - what is known of values before a run --------------===//
#include "backends/plan/ValueTable.h"

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

int64_t plan::productOf(ArrayRef<int64_t> sizes) {
  return std::accumulate(sizes.begin(), sizes.end(), int64_t{1}, std::multiplies<>());
}

/// The type of a value whose sizes are part of it, or null.
static RankedTensorType staticType(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.hasStaticShape() ? type : RankedTensorType();
}

bool ValueTable::hasSizes(Value value) const { return staticType(value) || sizes.count(value); }

ArrayRef<int64_t> ValueTable::sizesOf(Value value) const {
  if (RankedTensorType type = staticType(value))
    return type.getShape();
  auto at = sizes.find(value);
  assert(at != sizes.end() && "the sizes of a value are asked for before they are known");
  return at->second;
}

std::optional<Tensor> ValueTable::tensorOf(Value value) const {
  if (auto at = tensors.find(value); at != tensors.end())
    return at->second;
  return nn::constantTensor(value);
}

std::optional<std::vector<int64_t>> ValueTable::integersOf(Value value) const {
  if (auto at = tensors.find(value); at != tensors.end())
    return nn::integersOf(at->second);
  return nn::constantInts(value);
}

void ValueTable::setSizes(Value value, ArrayRef<int64_t> found) {
  sizes[value].assign(found.begin(), found.end());
}

void ValueTable::setTensor(Value value, Tensor tensor) { tensors[value] = std::move(tensor); }
