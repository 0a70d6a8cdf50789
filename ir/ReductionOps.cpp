//===- ReductionOps.cpp - rules of reductions, softmax, arg max -----------===//
#include "ir/Constants.h"
#include "ir/NNDialect.h"
#include "ir/TypeRules.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::nn::detail;

/// `shape` with the dimensions in `axes` made 1 or removed.
static Shape reducedShape(const Shape &shape, ArrayRef<int64_t> axes, bool keepdims) {
  DimVector dims;
  for (int64_t i = 0; i < shape.rank(); ++i) {
    if (!llvm::is_contained(axes, i))
      dims.push_back(shape[i]);
    else if (keepdims)
      dims.push_back(Dim(1));
  }
  return Shape(std::move(dims));
}

/// The result of a reduction whose axes are not constant.
static InferredTypes inferWithUnknownAxes(ReduceOp op, const Shape &input,
                                          const ShapeFacts &facts) {
  Type elementType = elementTypeOf(op.getInput());
  if (op.getKeepdims()) {
    Shape shape = unknownShape(input.rank());
    for (int64_t i = 0; i < input.rank(); ++i)
      if (input[i].isStatic(1))
        shape[i] = Dim(1);
    return rankedResult(op, shape, elementType);
  }
  std::optional<int64_t> count = facts.lengthOf(op.getAxes());
  if (!count)
    return unrankedResult(elementType);
  if (*count > input.rank())
    return op.emitOpError("axes must have at most ")
           << input.rank() << " entries, found " << *count;
  // No axes at all: everything or nothing is reduced.
  if (*count == 0)
    return rankedResult(op, op.getNoopWithEmptyAxes() ? input : Shape(), elementType);
  return resultOfRank(op, input.rank() - *count, elementType);
}

/// The axes that `op` reduces; nullopt when they are not constant.
static FailureOr<std::optional<SmallVector<int64_t>>> reducedAxes(ReduceOp op, int64_t rank,
                                                                  const ShapeFacts &facts) {
  std::optional<std::vector<int64_t>> axes;
  if (isNone(op.getAxes()))
    axes.emplace();
  else
    axes = facts.integersOf(op.getAxes());
  if (!axes)
    return std::optional<SmallVector<int64_t>>();
  FailureOr<SmallVector<int64_t>> resolved = resolveAxes(op, *axes, rank);
  if (failed(resolved))
    return failure();
  if (resolved->empty() && !op.getNoopWithEmptyAxes())
    resolved = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  return std::optional(*resolved);
}

InferredTypes ReduceOp::inferResultTypes(const ShapeFacts &facts) {
  if (failed(requireNumbers(*this, getInput(), "input")) ||
      failed(requireIndices(facts, *this, getAxes(), "axes", /*maxRank=*/1)))
    return failure();
  Type elementType = elementTypeOf(getInput());
  std::optional<Shape> input = facts.shapeOf(getInput());
  if (!input)
    return unrankedResult(elementType);
  FailureOr<std::optional<SmallVector<int64_t>>> axes = reducedAxes(*this, input->rank(), facts);
  if (failed(axes))
    return failure();
  if (!*axes)
    return inferWithUnknownAxes(*this, *input, facts);
  bool isCopy = (*axes)->empty();
  return rankedResult(*this, isCopy ? *input : reducedShape(*input, **axes, getKeepdims()),
                      elementType);
}

FusionKind ReduceOp::getFusionKind() {
  return isNone(getAxes()) || isConstant(getAxes()) ? FusionKind::Row : FusionKind::Opaque;
}

std::optional<SmallVector<int64_t>> ReduceOp::getReducedDimensions(const ShapeFacts &facts) {
  std::optional<Shape> input = facts.shapeOf(getInput());
  if (!input)
    return std::nullopt;
  FailureOr<std::optional<SmallVector<int64_t>>> axes = reducedAxes(*this, input->rank(), facts);
  if (failed(axes) || !*axes)
    return std::nullopt;
  llvm::sort(**axes);
  return *axes;
}

InferredTypes SoftmaxOp::inferResultTypes(const ShapeFacts &facts) {
  if (failed(requireFloats(*this, getInput(), "input")))
    return failure();
  std::optional<Shape> input = facts.shapeOf(getInput());
  if (input && failed(resolveAxis(*this, getAxis(), input->rank())))
    return failure();
  return typeOf(getInput(), facts);
}

InferredTypes ArgReduceOp::inferResultTypes(const ShapeFacts &facts) {
  Type elementType = IntegerType::get(getContext(), 64);
  if (getKind() != ReduceKind::Max && getKind() != ReduceKind::Min)
    return emitOpError("kind must be max or min, found ") << nameOf(getKind());
  if (failed(requireNumbers(*this, getInput(), "input")))
    return failure();
  std::optional<Shape> input = facts.shapeOf(getInput());
  if (!input)
    return unrankedResult(elementType);
  FailureOr<int64_t> axis = resolveAxis(*this, getAxis(), input->rank());
  if (failed(axis))
    return failure();
  if ((*input)[*axis].isStatic(0))
    return emitOpError("has no element to choose along axis ") << *axis;
  return rankedResult(*this, reducedShape(*input, *axis, getKeepdims()), elementType);
}

//===----------------------------------------------------------------------===//
// cumulate, topk
//===----------------------------------------------------------------------===//

InferredTypes CumulateOp::inferResultTypes(const ShapeFacts &facts) {
  if (getKind() != ReduceKind::Sum && getKind() != ReduceKind::Prod)
    return emitOpError("kind must be sum or prod, found ") << nameOf(getKind());
  if (failed(requireNumbers(*this, getInput(), "input")) ||
      failed(requireScalarAxis(facts, *this, getAxis())))
    return failure();
  Type elementType = elementTypeOf(getInput());
  std::optional<Shape> input = facts.shapeOf(getInput());
  if (!input)
    return unrankedResult(elementType);
  // The axis changes no size: what is no constant the run looks at.
  if (std::optional<std::vector<int64_t>> axis = constantInts(getAxis()))
    if (failed(resolveAxis(*this, axis->front(), input->rank())))
      return failure();
  return rankedResult(*this, *input, elementType);
}

/// How many elements a topk selects of `whole`; unknown until `k` is.
static FailureOr<Dim> selectedSize(TopKOp op, const Dim &whole, const ShapeFacts &facts) {
  if (std::optional<std::vector<int64_t>> k = facts.integersOf(op.getK())) {
    if (k->front() < 0)
      return op.emitOpError("k must not be negative, found ") << k->front();
    if (whole.isStatic() && k->front() > whole.size())
      return op.emitOpError("k is ")
             << k->front() << ", but there are only " << whole.size() << " elements along the axis";
    return Dim(k->front());
  }
  std::optional<DimVector> k = facts.dimsIn(op.getK());
  return k && k->size() == 1 ? k->front() : Dim();
}

InferredTypes TopKOp::inferResultTypes(const ShapeFacts &facts) {
  if (failed(requireNumbers(*this, getInput(), "input")) ||
      failed(requireIndices(facts, *this, getK(), "k", /*maxRank=*/1)))
    return failure();
  if (std::optional<int64_t> count = facts.lengthOf(getK()); count && *count != 1)
    return emitOpError("k must have one element, found ") << getK().getType();
  Type elementType = elementTypeOf(getInput()), int64 = IntegerType::get(getContext(), 64);
  std::optional<Shape> input = facts.shapeOf(getInput());
  if (!input)
    return SmallVector<InferredType, 1>{{elementType, std::nullopt}, {int64, std::nullopt}};
  FailureOr<int64_t> axis = resolveAxis(*this, getAxis(), input->rank());
  if (failed(axis))
    return failure();
  FailureOr<Dim> size = selectedSize(*this, (*input)[*axis], facts);
  if (failed(size))
    return failure();
  (*input)[*axis] = *size;
  return SmallVector<InferredType, 1>{{elementType, *input}, {int64, *input}};
}

#define GET_OP_CLASSES
#include "ir/ReductionOps.cpp.inc"

void NNDialect::registerReductionOps() {
  addOperations<
#define GET_OP_LIST
#include "ir/ReductionOps.cpp.inc"
      >();
}
