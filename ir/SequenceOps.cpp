//===- SequenceOps.cpp - rules of sequences and optionals -----------------===//
#include "ir/SequenceOps.h"
#include "ir/TypeRules.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::nn::detail;

/// The type that an op declares of its result.
static InferredTypes declared(Value result) {
  return SmallVector<InferredType, 1>{{result.getType(), std::nullopt}};
}

Type nn::containedType(Type type) {
  std::optional<Shape> shape = shapeOf(type);
  if (!shape)
    return type;
  DimVector dims;
  for (const Dim &dim : shape->dims())
    dims.push_back(dim.isStatic() ? dim : Dim());
  return tensorType(Shape(std::move(dims)), elementTypeOf(type));
}

static InferredTypes contained(Type type) {
  Type seen = containedType(type);
  return SmallVector<InferredType, 1>{{elementTypeOf(seen), shapeOf(seen)}};
}

/// Fails unless values of type `from` can be among those of type `to`.
static LogicalResult requireFits(Operation *op, const Twine &what, Type from, Type to) {
  if (areCompatible(from, to))
    return success();
  return op->emitOpError(what) << " is " << from << ", wanted " << to;
}

static LogicalResult requireAllFit(Operation *op, OperandRange values, Type to) {
  for (auto [i, value] : llvm::enumerate(values))
    if (failed(requireFits(op, "value " + Twine(i), value.getType(), to)))
      return failure();
  return success();
}

/// The type of the sequence's tensors; an error when they are none.
static FailureOr<TensorType> tensorsIn(Operation *op, SequenceType type) {
  if (auto tensor = dyn_cast<TensorType>(type.getElementType()))
    return tensor;
  return op->emitOpError("must be of a sequence of tensors, found ") << type;
}

InferredTypes SequenceOp::inferResultTypes(const ShapeFacts &) {
  if (failed(requireAllFit(*this, getValues(), getType().getElementType())))
    return failure();
  return declared(getResult());
}

InferredTypes SequenceSpliceOp::inferResultTypes(const ShapeFacts &facts) {
  Type element = getType().getElementType();
  if (failed(requireFits(*this, "an element of the sequence",
                         getSequence().getType().getElementType(), element)) ||
      failed(requireAllFit(*this, getValues(), element)) ||
      failed(requireIndices(facts, *this, getPosition(), "position", /*maxRank=*/1)))
    return failure();
  if (getRemoved() < 0)
    return emitOpError("cannot remove ") << getRemoved() << " values";
  return declared(getResult());
}

InferredTypes SequenceAtOp::inferResultTypes(const ShapeFacts &facts) {
  if (failed(requireIndices(facts, *this, getPosition(), "position", /*maxRank=*/1)))
    return failure();
  return contained(getSequence().getType().getElementType());
}

InferredTypes SequenceLengthOp::inferResultTypes(const ShapeFacts &) {
  return rankedResult(*this, Shape(), IntegerType::get(getContext(), 64));
}

InferredTypes SequenceConcatOp::inferResultTypes(const ShapeFacts &) {
  FailureOr<TensorType> element = tensorsIn(*this, getSequence().getType());
  if (failed(element))
    return failure();
  std::optional<Shape> shape = shapeOf(containedType(*element));
  if (!shape)
    return unrankedResult(element->getElementType());
  FailureOr<int64_t> axis = resolveAxis(*this, getAxis(), shape->rank() + (getNewAxis() ? 1 : 0));
  if (failed(axis))
    return failure();
  DimVector dims = shape->dims();
  if (getNewAxis())
    dims.insert(dims.begin() + *axis, Dim());
  else
    dims[*axis] = Dim();
  return rankedResult(*this, Shape(std::move(dims)), element->getElementType());
}

InferredTypes SequenceSplitOp::inferResultTypes(const ShapeFacts &facts) {
  FailureOr<TensorType> element = tensorsIn(*this, getType());
  std::optional<Shape> input = facts.shapeOf(getInput());
  if (failed(element) || (input && failed(resolveAxis(*this, getAxis(), input->rank()))) ||
      failed(requireIndices(facts, *this, getSplit(), "split", /*maxRank=*/1)))
    return failure();
  if (element->getElementType() != elementTypeOf(getInput()))
    return emitOpError("splits a tensor of ")
           << elementTypeOf(getInput()) << " into tensors of " << element->getElementType();
  return declared(getResult());
}

InferredTypes OptionalOp::inferResultTypes(const ShapeFacts &) {
  if (getValue() &&
      failed(requireFits(*this, "the value", getValue().getType(), getType().getContentType())))
    return failure();
  return declared(getResult());
}

InferredTypes OptionalHasOp::inferResultTypes(const ShapeFacts &) {
  return rankedResult(*this, Shape(), IntegerType::get(getContext(), 1));
}

InferredTypes OptionalGetOp::inferResultTypes(const ShapeFacts &) {
  return contained(getOptional().getType().getContentType());
}

#define GET_OP_CLASSES
#include "ir/SequenceOps.cpp.inc"

void NNDialect::registerSequenceOps() {
  addOperations<
#define GET_OP_LIST
#include "ir/SequenceOps.cpp.inc"
      >();
}
