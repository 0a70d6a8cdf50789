//===- WidenFloat16.cpp - half types in float32 where they must be --------===//
//
// Constant operands are cast by the FoldConstants after this pass, but for those that
// KeepHalfWeights finds; the casts at
// the borders of an op fuse with the elementwise ops around it. This runs before
// FoldBatchNorm: a batch_norm in float32 becomes a scale and a shift that are not
// rounded to a half type.
//
//===----------------------------------------------------------------------===//
#include "ir/NNDialect.h"
#include "ir/Types.h"
#include "passes/Passes.h"
#include "passes/SmallWeights.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

namespace quern::passes {
#define GEN_PASS_DEF_WIDENFLOAT16PASS
#include "passes/Passes.h.inc"
} // namespace quern::passes

static bool isHalfTensor(Value value) { return isHalf(elementTypeOf(value)); }

static Type widened(Type type) {
  auto tensor = dyn_cast<TensorType>(type);
  return tensor ? Type(tensor.clone(Float32Type::get(type.getContext()))) : type;
}

namespace {
class Widener {
public:
  /// Computes `op` in float32.
  void widen(Operation *op);

private:
  Value widen(Value value);

  /// The float32 copies of values that several ops may share.
  DenseMap<Value, Value> copies;
};
} // namespace

static Value createCast(OpBuilder &builder, Location loc, Value value, Type to) {
  return builder.create<CastOp>(loc, to, value, elementTypeOf(to));
}

Value Widener::widen(Value value) {
  Value &copy = copies[value];
  if (!copy) {
    OpBuilder builder(value.getContext());
    builder.setInsertionPointAfterValue(value);
    copy = createCast(builder, value.getLoc(), value, widened(value.getType()));
  }
  return copy;
}

void Widener::widen(Operation *op) {
  for (OpOperand &operand : op->getOpOperands())
    if (isHalfTensor(operand.get()))
      operand.set(widen(operand.get()));
  OpBuilder builder(op->getContext());
  builder.setInsertionPointAfter(op);
  for (Value result : op->getResults()) {
    if (!isHalfTensor(result))
      continue;
    Type half = result.getType();
    result.setType(widened(half));
    Value rounded = createCast(builder, op->getLoc(), result, half);
    result.replaceAllUsesExcept(rounded, rounded.getDefiningOp());
  }
}

/// Whether `op` reads half types and no kernel computes in them. Products that sum up in
/// float32 are computed on half types as they are.
static bool mustWiden(Operation *op) {
  if (!op->hasTrait<WideFloatsOnly>() || llvm::none_of(op->getOperands(), isHalfTensor))
    return false;
  return !isa<ConvOp, MatMulOp, GemmOp>(op) || isHalfTensor(op->getResult(0));
}

namespace {
struct WidenFloat16Pass : passes::impl::WidenFloat16PassBase<WidenFloat16Pass> {
  void runOnOperation() override {
    SmallVector<Operation *> ops;
    getOperation().walk([&](Operation *op) {
      if (mustWiden(op))
        ops.push_back(op);
    });
    Widener widener;
    for (Operation *op : ops)
      widener.widen(op);
  }
};
} // namespace
