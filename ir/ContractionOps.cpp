//===- ContractionOps.cpp - rules of matrix products ----------------------===//
#include "ir/NNDialect.h"
#include "ir/TypeRules.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::nn::detail;

/// The dimensions before the last two (all of a vector's are gone).
static Shape batchOf(const Shape &shape) {
  if (shape.rank() <= 2)
    return Shape();
  return Shape(DimVector(shape.dims().begin(), shape.dims().end() - 2));
}

/// The product of the operands a and b of `op`.
template <typename Op>
static InferredTypes inferProduct(Op op, const ShapeFacts &facts, Type elementType) {
  std::optional<Shape> a = facts.shapeOf(op.getA()), b = facts.shapeOf(op.getB());
  if ((a && a->rank() == 0) || (b && b->rank() == 0))
    return op.emitOpError("operands must have rank 1 or more, found a scalar");
  if (!a || !b)
    return unrankedResult(elementType);
  const Dim &innerA = (*a)[a->rank() - 1];
  const Dim &innerB = (*b)[b->rank() == 1 ? 0 : b->rank() - 2];
  if (failed(requireDim(op, innerB, innerA, "the inner dimension of b")))
    return failure();
  Expected<Shape> batch = broadcastShapes(batchOf(*a), batchOf(*b));
  if (!batch)
    return op.emitOpError("batch dimensions: ") << batch.status().message();
  DimVector dims = batch->dims();
  if (a->rank() > 1)
    dims.push_back((*a)[a->rank() - 2]);
  if (b->rank() > 1)
    dims.push_back((*b)[b->rank() - 1]);
  return rankedResult(op, Shape(std::move(dims)), elementType);
}

InferredTypes MatMulOp::inferResultTypes(const ShapeFacts &facts) {
  FailureOr<Type> elementType = sumTypeByWeights(*this, "a", "b");
  if (failed(elementType))
    return failure();
  return inferProduct(*this, facts, *elementType);
}

/// Checks what stands for zero in a factor: a vector is along the last dimension but `after`, 0
/// or 1.
static LogicalResult verifyZero(MatMulIntegerOp op, const ShapeFacts &facts, Value zero,
                                Value factor, int64_t after) {
  std::optional<Shape> of = facts.shapeOf(factor), shape = facts.shapeOf(zero);
  if (failed(requireSameElements(op, zero, "the zero point", factor)))
    return failure();
  if (!of || !shape || shape->rank() == 0 || (shape->rank() == 1 && (*shape)[0].isStatic(1)))
    return success();
  if (shape->rank() == 1 && after == 1)
    shape = Shape({(*shape)[0], Dim(1)});
  bool fits = shape->rank() <= of->rank();
  for (int64_t i = 1; fits && i <= shape->rank(); ++i) {
    const Dim &found = (*shape)[shape->rank() - i];
    fits = found.isStatic(1) || found.compatibleWith((*of)[of->rank() - i]);
  }
  if (fits)
    return success();
  return op.emitOpError("a zero point does not fit: ") << shape->str() << " to " << of->str();
}

InferredTypes MatMulIntegerOp::inferResultTypes(const ShapeFacts &facts) {
  if (failed(requireBytes(*this, getA(), "a")) || failed(requireBytes(*this, getB(), "b")) ||
      failed(verifyZero(*this, facts, getAZero(), getA(), 1)) ||
      failed(verifyZero(*this, facts, getBZero(), getB(), 0)))
    return failure();
  return inferProduct(*this, facts, IntegerType::get(getContext(), 32));
}

/// The addend of a gemm broadcasts to the result, never the other way round.
static LogicalResult verifyAddend(GemmOp op, const Shape &result, const ShapeFacts &facts) {
  std::optional<Shape> c = facts.shapeOf(op.getC());
  if (!c)
    return success();
  bool fits = c->rank() <= result.rank();
  for (int64_t i = 1; fits && i <= c->rank(); ++i) {
    const Dim &found = (*c)[c->rank() - i];
    fits = found.isStatic(1) || found.compatibleWith(result[result.rank() - i]);
  }
  if (fits)
    return success();
  return op.emitOpError("c must broadcast to ") << result.str() << ", found " << c->str();
}

InferredTypes GemmOp::inferResultTypes(const ShapeFacts &facts) {
  FailureOr<Type> elementType = sumTypeByWeights(*this, "a", "b");
  if (failed(elementType) || failed(requireAddend(*this, getC(), "c", *elementType)))
    return failure();
  std::optional<Shape> a = facts.shapeOf(getA()), b = facts.shapeOf(getB());
  if ((a && a->rank() != 2) || (b && b->rank() != 2))
    return emitOpError("a and b must be matrices, found rank ")
           << (a && a->rank() != 2 ? a->rank() : b->rank());
  Shape left = a ? *a : unknownShape(2), right = b ? *b : unknownShape(2);
  const Dim &rows = left[getTransA() ? 1 : 0], &innerA = left[getTransA() ? 0 : 1];
  const Dim &innerB = right[getTransB() ? 1 : 0], &columns = right[getTransB() ? 0 : 1];
  if (failed(requireDim(*this, innerB, innerA, "the inner dimension of b")))
    return failure();
  Shape result({rows, columns});
  if (failed(verifyAddend(*this, result, facts)))
    return failure();
  return rankedResult(*this, result, *elementType);
}

/// Fails unless `tensor` is [columns, blocks].
static LogicalResult verifyPerBlock(BlockMatMulOp op, const std::optional<Shape> &found,
                                    const Shape &weights, StringRef name) {
  if (!found)
    return success();
  if (found->rank() != 2)
    return op.emitOpError() << name << " must have rank 2, found " << found->rank();
  if (failed(requireDim(op, (*found)[0], weights[0], Twine("the columns of ") + name)))
    return failure();
  return requireDim(op, (*found)[1], ceilDiv(weights[1], op.getBlockSize()),
                    Twine("the blocks of ") + name);
}

InferredTypes BlockMatMulOp::inferResultTypes(const ShapeFacts &facts) {
  Type f32 = Float32Type::get(getContext());
  DType weightsType = dtypeOf(elementTypeOf(getWeights()));
  bool areIntegers = isSignedInteger(weightsType) || isUnsignedInteger(weightsType);
  if (!areIntegers || dtypeBits(weightsType) > 8)
    return emitOpError("weights must hold integers of 8 bits or less, found ")
           << elementTypeOf(getWeights());
  if (elementTypeOf(getA()) != f32 || elementTypeOf(getScale()) != f32)
    return emitOpError("a and scale must hold f32, found ")
           << elementTypeOf(getA()) << " and " << elementTypeOf(getScale());
  if (failed(requireSameElements(*this, getZeroPoint(), "zero_point", getWeights())))
    return failure();
  if (getBlockSize() < 1)
    return emitOpError("block_size must be positive, found ") << getBlockSize();
  std::optional<Shape> a = facts.shapeOf(getA()), weights = facts.shapeOf(getWeights());
  if (weights && weights->rank() != 2)
    return emitOpError("weights must have rank 2, found ") << weights->rank();
  std::optional<Shape> zero = facts.shapeOf(getZeroPoint());
  if (weights &&
      (failed(verifyPerBlock(*this, facts.shapeOf(getScale()), *weights, "scale")) ||
       (zero && zero->rank() != 0 && failed(verifyPerBlock(*this, zero, *weights, "zero_point")))))
    return failure();
  if (!a)
    return unrankedResult(f32);
  if (a->rank() == 0)
    return emitOpError("a must have rank 1 or more, found a scalar");
  DimVector dims = a->dims();
  if (weights && failed(requireDim(*this, dims.back(), (*weights)[1], "the inner dimension of a")))
    return failure();
  dims.back() = weights ? (*weights)[0] : Dim();
  return rankedResult(*this, Shape(std::move(dims)), f32);
}

#define GET_OP_CLASSES
#include "ir/ContractionOps.cpp.inc"

void NNDialect::registerContractionOps() {
  addOperations<
#define GET_OP_LIST
#include "ir/ContractionOps.cpp.inc"
      >();
}
