//===- TypeRules.cpp - pieces of the ops' shape rules ---------------------===//
#include "ir/TypeRules.h"

#include "quern/CheckedSize.h"
#include "runtime/values/CeilDiv.h"

#include "llvm/ADT/SmallSet.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;

Shape nn::detail::unknownShape(int64_t rank) { return Shape(DimVector(rank)); }

InferredTypes nn::detail::unrankedResult(Type elementType) {
  return SmallVector<InferredType, 1>{{elementType, std::nullopt}};
}

InferredTypes nn::detail::rankedResult(Operation *op, const Shape &shape, Type elementType,
                                       Layout layout) {
  if (failed(requireSaneRank(op, shape.rank())))
    return failure();
  CheckedSize bytes(dtypeBytes(dtypeOf(elementType)));
  for (const Dim &d : shape.dims())
    if (d.isStatic())
      bytes *= CheckedSize(d.size());
  if (!bytes.valid())
    return op->emitOpError("the size of a result of shape ") << shape.str() << " overflows";
  return SmallVector<InferredType, 1>{{elementType, shape, layout}};
}

InferredTypes nn::detail::resultOfRank(Operation *op, int64_t rank, Type elementType) {
  if (failed(requireSaneRank(op, rank)))
    return failure();
  return rankedResult(op, unknownShape(rank), elementType);
}

InferredTypes nn::detail::typeOf(Value value, const ShapeFacts &facts) {
  return SmallVector<InferredType, 1>{
      {elementTypeOf(value), facts.shapeOf(value), layoutOf(value)}};
}

LogicalResult nn::detail::requireSaneRank(Operation *op, int64_t rank) {
  const int64_t limit = Limits().maxRank;
  if (rank <= limit)
    return success();
  return op->emitOpError("tensors may have rank ") << limit << " at most, found " << rank;
}

LogicalResult nn::detail::requireNumbers(Operation *op, Value tensor, StringRef name) {
  Type type = elementTypeOf(tensor);
  DType dtype = dtypeOf(type);
  if (isFloat(dtype) || isSignedInteger(dtype) || isUnsignedInteger(dtype))
    return success();
  return op->emitOpError() << name << " must hold numbers, found " << type;
}

LogicalResult nn::detail::requireBytes(Operation *op, Value tensor, StringRef name) {
  Type type = elementTypeOf(tensor);
  if (DType dtype = dtypeOf(type); dtype == DType::Int8 || dtype == DType::UInt8)
    return success();
  return op->emitOpError() << name << " must hold integers of 8 bits, found " << type;
}

LogicalResult nn::detail::requireFloats(Operation *op, Value tensor, StringRef name) {
  Type type = elementTypeOf(tensor);
  if (isFloat(dtypeOf(type)))
    return success();
  return op->emitOpError() << name << " must hold floats, found " << type;
}

LogicalResult nn::detail::requireSameElements(Operation *op, Value tensor, StringRef name,
                                              Value like) {
  if (isNone(tensor) || elementTypeOf(tensor) == elementTypeOf(like))
    return success();
  return op->emitOpError() << name << " must have element type " << elementTypeOf(like)
                           << ", found " << elementTypeOf(tensor);
}

/// The type that sums of products may have beside that of the factors; null when there is none.
static Type widerSumType(Type factor) {
  if (factor.isInteger(8))
    return IntegerType::get(factor.getContext(), 32);
  if (factor.isF16() || factor.isBF16())
    return Float32Type::get(factor.getContext());
  return {};
}

FailureOr<Type> nn::detail::sumTypeOf(Operation *op, StringRef a, StringRef b) {
  Value first = op->getOperand(0), second = op->getOperand(1);
  if (failed(requireNumbers(op, first, a)))
    return failure();
  Type type = elementTypeOf(first), declared = elementTypeOf(op->getResult(0));
  Type wider = widerSumType(type);
  bool areBytes = type.isInteger(8) && elementTypeOf(second).isInteger(8);
  if (areBytes && (declared == wider || type != elementTypeOf(second)))
    return wider;
  if (failed(requireSameElements(op, second, b, first)))
    return failure();
  return wider && declared == wider ? wider : type;
}

FailureOr<Type> nn::detail::sumTypeByWeights(Operation *op, StringRef a, StringRef b) {
  Type first = elementTypeOf(op->getOperand(0)), second = elementTypeOf(op->getOperand(1));
  if (first.isF32() && (second.isF16() || second.isBF16()))
    return first;
  return sumTypeOf(op, a, b);
}

LogicalResult nn::detail::requireAddend(Operation *op, Value tensor, StringRef name, Type sums) {
  if (isNone(tensor) || elementTypeOf(tensor) == sums)
    return success();
  return op->emitOpError() << name << " must have element type " << sums << ", found "
                           << elementTypeOf(tensor);
}

LogicalResult nn::detail::requireIndices(const ShapeFacts &facts, Operation *op, Value tensor,
                                         StringRef name, int64_t maxRank) {
  if (isNone(tensor))
    return success();
  Type type = elementTypeOf(tensor);
  if (!type.isSignlessInteger(64) && !type.isSignlessInteger(32))
    return op->emitOpError() << name << " must hold int32 or int64, found " << type;
  std::optional<Shape> shape = facts.shapeOf(tensor);
  if (shape && shape->rank() > maxRank)
    return op->emitOpError() << name << " must have rank " << maxRank << " or less, found "
                             << shape->rank();
  return success();
}

LogicalResult nn::detail::requireScalarAxis(const ShapeFacts &facts, Operation *op, Value axis) {
  if (failed(requireIndices(facts, op, axis, "axis", /*maxRank=*/1)))
    return failure();
  if (std::optional<int64_t> count = facts.lengthOf(axis); count && *count != 1)
    return op->emitOpError("axis must be a scalar, found ") << axis.getType();
  return success();
}

LogicalResult nn::detail::requireRankAtLeast(Operation *op, const Shape &shape, int64_t rank) {
  if (shape.rank() >= rank)
    return success();
  return op->emitOpError("input needs rank ") << rank << " or more, found " << shape.rank();
}

LogicalResult nn::detail::requireDim(Operation *op, const Dim &found, const Dim &expected,
                                     const Twine &what) {
  if (found.compatibleWith(expected))
    return success();
  return op->emitOpError() << what << " must be " << expected.str() << ", found " << found.str();
}

FailureOr<int64_t> nn::detail::resolveAxis(Operation *op, int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank)
    return op->emitOpError("axis must be in [") << -rank << ", " << rank << "), found " << axis;
  return axis < 0 ? axis + rank : axis;
}

FailureOr<SmallVector<int64_t>> nn::detail::resolveAxes(Operation *op, ArrayRef<int64_t> axes,
                                                        int64_t rank) {
  SmallVector<int64_t> resolved;
  llvm::SmallSet<int64_t, 8> seen;
  for (int64_t axis : axes) {
    FailureOr<int64_t> fromFront = resolveAxis(op, axis, rank);
    if (failed(fromFront))
      return failure();
    if (!seen.insert(*fromFront).second)
      return op->emitOpError("axis ") << *fromFront << " occurs twice";
    resolved.push_back(*fromFront);
  }
  return resolved;
}

void nn::detail::putIntoBlocks(DimVector &dims, int64_t block) {
  dims[1] = dims[1].isStatic() ? Dim(quern::ceilDiv(dims[1].size(), block)) : Dim();
  dims.push_back(Dim(block));
}

Dim nn::detail::mergeDims(const Dim &a, const Dim &b) {
  if (a.isStatic() || b.isUnknown())
    return a;
  return b.isStatic() || a.isUnknown() ? b : a;
}

FailureOr<Dim> nn::detail::productOf(Operation *op, ArrayRef<Dim> dims) {
  CheckedSize sizes(1);
  Dim product(1);
  for (const Dim &d : dims) {
    if (d.isStatic())
      sizes *= CheckedSize(d.size());
    else
      product = product * d;
  }
  if (!sizes.valid())
    return op->emitOpError("the product of dimensions ")
           << Shape({dims.begin(), dims.end()}).str() << " overflows";
  return product * Dim(sizes.value());
}
