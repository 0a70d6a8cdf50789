//===- QuantizedValues.cpp - what stands between integers and their floats ===//
#include "passes/QuantizedValues.h"

#include "ir/Constants.h"
#include "ir/GatherOps.h"
#include "ir/NNDialect.h"
#include "ir/Types.h"
#include "runtime/reference/DTypeDispatch.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

bool passes::isOfTensor(Value parameter) {
  if (isNone(parameter))
    return true;
  std::optional<Shape> shape = shapeOf(parameter.getType());
  return shape && shape->numElements() == 1;
}

std::optional<double> passes::knownNumber(Value value) {
  if (isNone(value))
    return 0;
  std::optional<Tensor> number = onlyNumber(value);
  if (!number)
    return std::nullopt;
  double known = 0;
  Status status = reference::visitCastable(number->dtype(), [&]<typename T>() {
    known = static_cast<double>(reference::widen(*number->data<T>()));
    return Status::ok();
  });
  return status.isOk() ? std::optional(known) : std::nullopt;
}

bool passes::areSameParameters(Value a, Value b) {
  if (a == b)
    return true;
  std::optional<double> x = knownNumber(a), y = knownNumber(b);
  return x && y && *x == *y && isOfTensor(a) && isOfTensor(b) &&
         (isNone(a) || isNone(b) || elementTypeOf(a) == elementTypeOf(b));
}

DequantizeOp passes::dequantizedBytes(Value value) {
  auto op = value.getDefiningOp<DequantizeOp>();
  bool fits =
      op && op.getBlockSize() == 0 && op.getTo().isF32() && elementTypeOf(op.getX()).isInteger(8);
  return fits ? op : DequantizeOp();
}

//===----------------------------------------------------------------------===//
// Moves
//===----------------------------------------------------------------------===//

bool passes::isMove(Operation *op) {
  return isa_and_nonnull<ReshapeOp, FlattenOp, SqueezeOp, UnsqueezeOp, TransposeOp, SliceOp,
                         GatherOp>(op);
}

bool passes::isMaxOfElements(Operation *op) {
  auto pool = dyn_cast_or_null<MaxPoolOp>(op);
  if (!pool || pool.getCeilMode() ||
      !llvm::all_of(pool.getDilations(), [](int64_t dilation) { return dilation == 1; }))
    return false;
  ArrayRef<int64_t> kernel = pool.getKernel(), pads = pool.getPads();
  for (size_t i = 0; i < pads.size(); ++i)
    if (pads[i] < 0 || pads[i] >= kernel[i % kernel.size()])
      return false;
  return true;
}

Value passes::moveInstead(OpBuilder &builder, Operation *op, Value x) {
  Operation *moved = builder.clone(*op);
  moved->setOperand(0, x);
  auto type = cast<TensorType>(op->getResult(0).getType());
  moved->getResult(0).setType(type.clone(elementTypeOf(x)));
  return moved->getResult(0);
}
