//===- DecomposeQuantization.cpp - quantized ops in core ops --------------===//
//
// What no backend computes as it is becomes elementwise ops, which fuse into their neighbours,
// and products of int32, with the same bits. What depends on constants only is left: folding
// computes it in one step. So is what only a run tells the rank of; it runs on its reference
// kernel.
//
//===----------------------------------------------------------------------===//
#include "passes/DecomposeQuantization.h"

#include "ir/Constants.h"
#include "ir/GatherOps.h"
#include "ir/NNDialect.h"
#include "ir/QuantOps.h"
#include "ir/ShapeFacts.h"
#include "passes/Composer.h"
#include "passes/Passes.h"
#include "passes/QuantizedValues.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

namespace quern::passes {
#define GEN_PASS_DEF_DECOMPOSEQUANTIZATIONPASS
#include "passes/Passes.h.inc"
} // namespace quern::passes

//===----------------------------------------------------------------------===//
// Scales and zero points, as they broadcast to their data
//===----------------------------------------------------------------------===//

/// Whether a parameter is there, for more than the whole tensor; nullopt for one whose rank is
/// unknown.
static std::optional<bool> isVector(Value parameter) {
  if (isNone(parameter))
    return false;
  std::optional<Shape> shape = shapeOf(parameter.getType());
  if (!shape)
    return std::nullopt;
  return shape->rank() > 1 || (shape->rank() == 1 && !(*shape)[0].isStatic(1));
}

/// A scalar of a vector of one.
static Value asScalar(Composer &make, Value parameter) {
  if (isNone(parameter) || shapeOf(parameter.getType())->rank() == 0)
    return parameter;
  return make.create<SqueezeOp>(parameter, make.ints({0}));
}

/// A vector along the dimension that `after` others follow.
static Value alongAxis(Composer &make, Value vector, int64_t after) {
  SmallVector<int64_t> axes;
  for (int64_t i = 1; i <= after; ++i)
    axes.push_back(i);
  return axes.empty() ? vector : make.create<UnsqueezeOp>(vector, make.ints(axes));
}

/// Repeats each entry along `axis` for the neighbours of its block.
static Value spreadBlocks(Composer &make, Value parameter, Value x, int64_t axis,
                          int64_t blockSize) {
  auto scalar = [&](int64_t value) { return make.constant(Tensor::of<int64_t>({}, {value})); };
  OpBuilder &builder = make.builder();
  Value size =
      make.create<ShapeOp>(x, builder.getI64IntegerAttr(axis), builder.getI64IntegerAttr(axis + 1));
  size = make.create<SqueezeOp>(size, make.ints({0}));
  Value positions = make.create<RangeOp>(scalar(0), size, scalar(1));
  Value blocks = make.create<DivOp>(positions, scalar(blockSize));
  return make.create<GatherOp>(parameter, blocks, axis);
}

/// A scale or zero point of `op` as it broadcasts to the data; null where that is not known.
template <typename Op> static Value placed(Composer &make, Op op, Value parameter) {
  std::optional<bool> hasAxis = isVector(parameter);
  if (!hasAxis)
    return {};
  if (!*hasAxis)
    return asScalar(make, parameter);
  std::optional<Shape> x = shapeOf(op.getX().getType());
  int64_t axis = op.getAxis();
  if (op.getBlockSize() > 0) {
    if (!x)
      return {};
    return spreadBlocks(make, parameter, op.getX(), axis < 0 ? axis + x->rank() : axis,
                        op.getBlockSize());
  }
  if (!x && axis >= 0)
    return {};
  return alongAxis(make, parameter, (axis < 0 ? axis : axis - x->rank()) * -1 - 1);
}

//===----------------------------------------------------------------------===//
// The ops; null where one stays as it is
//===----------------------------------------------------------------------===//

/// Whether `scale` is known to be 1, in the type in which `to` is computed.
static bool isOne(Value scale, Type to) {
  return elementTypeOf(scale) == to && onlyReal(scale) == 1.0;
}

static Value decompose(QuantizeOp op, Composer &make) {
  Value scale = placed(make, op, op.getScale()), zeroPoint = placed(make, op, op.getZeroPoint());
  if (!scale || !zeroPoint)
    return {};
  Value quotient = make.convert(op.getX(), op.getPrecision());
  if (!isOne(op.getScale(), op.getPrecision()))
    quotient = make.create<DivOp>(quotient, make.convert(scale, op.getPrecision()));
  // float32 is exact for whatever is not beyond the range of 16 bits.
  Type wide = make.builder().getF32Type();
  bool isMini = isMiniFloat(nn::dtypeOf(op.getTo()));
  Value shifted = make.convert(isMini ? quotient : make.create<RoundOp>(quotient), wide);
  // 0 may change the sign of a zero, which integers have not.
  if (!isNone(zeroPoint) && (isMini || knownNumber(op.getZeroPoint()) != 0))
    shifted = make.create<AddOp>(shifted, make.convert(zeroPoint, wide));
  return make.create<CastOp>(shifted, op.getTo(), op.getSaturate() || !isMini,
                             CastRounding::Nearest);
}

/// data - zeroPoint as int32.
static Value centred(Composer &make, Value data, Value zeroPoint) {
  Type wide = make.builder().getI32Type();
  Value value = make.convert(data, wide);
  return isNone(zeroPoint) ? value : make.create<SubOp>(value, make.convert(zeroPoint, wide));
}

static Value decompose(DequantizeOp op, Composer &make) {
  Value scale = placed(make, op, op.getScale()), zeroPoint = placed(make, op, op.getZeroPoint());
  if (!scale || !zeroPoint)
    return {};
  Type wide = make.builder().getF32Type();
  Value value;
  if (isMiniFloat(nn::dtypeOf(elementTypeOf(op.getX())))) {
    value = make.convert(op.getX(), wide);
    if (!isNone(zeroPoint))
      value = make.create<SubOp>(value, make.convert(zeroPoint, wide));
  } else {
    value = make.convert(centred(make, op.getX(), zeroPoint), wide);
  }
  if (!isOne(op.getScale(), wide))
    value = make.create<MulOp>(value, make.convert(scale, wide));
  return make.convert(value, op.getTo());
}

/// The zero point of a factor, a vector along the dimension that `after` others follow.
static Value placedZero(Composer &make, Value zero, int64_t after) {
  std::optional<bool> hasAxis = isVector(zero);
  if (!hasAxis)
    return {};
  if (!*hasAxis)
    return asScalar(make, zero);
  return shapeOf(zero.getType())->rank() == 1 ? alongAxis(make, zero, after) : zero;
}

static Value decompose(MatMulIntegerOp op, Composer &make) {
  Value aZero = placedZero(make, op.getAZero(), 1), bZero = placedZero(make, op.getBZero(), 0);
  if (!aZero || !bZero)
    return {};
  return make.create<MatMulOp>(centred(make, op.getA(), aZero), centred(make, op.getB(), bZero));
}

/// Beyond the edges of what is centred lies 0.
static Value decompose(ConvIntegerOp op, Composer &make) {
  std::optional<Shape> weights = shapeOf(op.getWeights().getType());
  if (!weights)
    return {};
  // One number, as the op's rule says.
  Value inputZero = shapeOf(op.getInputZero().getType()) || isNone(op.getInputZero())
                        ? asScalar(make, op.getInputZero())
                        : Value();
  Value weightsZero = placedZero(make, op.getWeightsZero(), weights->rank() - 1);
  if (!inputZero || !weightsZero)
    return {};
  return make.create<ConvOp>(centred(make, op.getInput(), inputZero),
                             centred(make, op.getWeights(), weightsZero), op.getBias(),
                             op.getStrides(), op.getDilations(), op.getPads(), op.getGroup(),
                             op.getAutoPad(), /*pad_value=*/0);
}

static Value decomposed(Operation *op) {
  OpBuilder builder(op);
  Composer make(builder, op->getLoc());
  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case<QuantizeOp, DequantizeOp, MatMulIntegerOp, ConvIntegerOp>(
          [&](auto quantized) { return decompose(quantized, make); })
      .Default([](Operation *) { return Value(); });
}

bool passes::isDecomposed(StringRef opName) {
  return llvm::is_contained({QuantizeOp::getOperationName(), DequantizeOp::getOperationName(),
                             MatMulIntegerOp::getOperationName(),
                             ConvIntegerOp::getOperationName()},
                            opName);
}

namespace {
struct DecomposeQuantizationPass
    : passes::impl::DecomposeQuantizationPassBase<DecomposeQuantizationPass> {
  void runOnOperation() override {
    SmallVector<Operation *> ops;
    getOperation().walk([&](Operation *op) {
      bool isFolded = llvm::all_of(
          op->getOperands(), [](Value operand) { return isNone(operand) || isConstant(operand); });
      if (isDecomposed(op->getName().getStringRef()) && !isFolded)
        ops.push_back(op);
    });
    for (Operation *op : ops)
      if (Value value = decomposed(op)) {
        // It may be known better than by the shape rules.
        value.setType(op->getResult(0).getType());
        op->replaceAllUsesWith(ValueRange(value));
        op->erase();
      }
  }
};
} // namespace
