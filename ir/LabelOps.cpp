//===- LabelOps.cpp - rules of labels and of maps from them ---------------===//
#include "ir/LabelOps.h"
#include "ir/TypeRules.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::nn::detail;

static LogicalResult requireRank(Operation *op, const std::optional<Shape> &shape, StringRef name,
                                 int64_t rank) {
  if (!shape || shape->rank() == rank)
    return success();
  return op->emitOpError() << name << " must have rank " << rank << ", found " << shape->rank();
}

InferredTypes LookupOp::inferResultTypes(const ShapeFacts &facts) {
  std::optional<Shape> keys = facts.shapeOf(getKeys()), values = facts.shapeOf(getValues());
  if (failed(requireSameElements(*this, getKeys(), "keys", getInput())) ||
      failed(requireSameElements(*this, getOtherwise(), "otherwise", getValues())) ||
      failed(requireRank(*this, keys, "keys", 1)) ||
      failed(requireRank(*this, values, "values", 1)))
    return failure();
  if (keys && values && failed(requireDim(*this, (*values)[0], (*keys)[0], "the length of values")))
    return failure();
  if (std::optional<int64_t> count = facts.lengthOf(getOtherwise()); count && *count != 1)
    return emitOpError("otherwise must have one element, found ") << *count;
  Type elementType = elementTypeOf(getValues());
  std::optional<Shape> input = facts.shapeOf(getInput());
  return input ? rankedResult(*this, *input, elementType) : unrankedResult(elementType);
}

InferredTypes CouplePairsOp::inferResultTypes(const ShapeFacts &facts) {
  DType dtype = dtypeOf(elementTypeOf(getPairs()));
  if (dtype != DType::Float32 && dtype != DType::Float64)
    return emitOpError("pairs must hold float32 or float64, found ") << elementTypeOf(getPairs());
  std::optional<Shape> pairs = facts.shapeOf(getPairs());
  if (failed(requireRank(*this, pairs, "pairs", 3)))
    return failure();
  if (!pairs)
    return resultOfRank(*this, 2, elementTypeOf(getPairs()));
  if (failed(requireDim(*this, (*pairs)[2], (*pairs)[1], "dimension 2 of pairs")))
    return failure();
  return rankedResult(*this, Shape({(*pairs)[0], mergeDims((*pairs)[1], (*pairs)[2])}),
                      elementTypeOf(getPairs()));
}

InferredTypes ZipMapOp::inferResultTypes(const ShapeFacts &facts) {
  std::optional<Shape> input = facts.shapeOf(getInput()), keys = facts.shapeOf(getKeys());
  if (failed(requireRank(*this, input, "input", 2)) || failed(requireRank(*this, keys, "keys", 1)))
    return failure();
  if (input && keys && failed(requireDim(*this, (*input)[1], (*keys)[0], "dimension 1 of input")))
    return failure();
  Type keyType = elementTypeOf(getKeys());
  if (!keyType.isSignlessInteger(64) && !isa<StringType>(keyType))
    return emitOpError("keys must hold int64 or strings, found ") << keyType;
  // Where the type is known already it is not made again: threads may share the op.
  Type elementType = elementTypeOf(getInput()), declared = getResult().getType();
  if (!isNestedType(declared))
    declared = SequenceType::get(
        getContext(), MapType::get(getContext(), keyType, UnrankedTensorType::get(elementType)));
  auto sequence = dyn_cast<SequenceType>(declared);
  auto map = sequence ? dyn_cast<MapType>(sequence.getElementType()) : MapType();
  if (!map || map.getKeyType() != keyType || elementTypeOf(map.getValueType()) != elementType)
    return emitOpError("the result must be a sequence of maps from ")
           << keyType << " to tensors of " << elementType << ", found " << declared;
  return SmallVector<InferredType, 1>{{declared, std::nullopt}};
}

InferredTypes MapEntriesOp::inferResultTypes(const ShapeFacts &) {
  auto map = dyn_cast<MapType>(getMap().getType());
  if (!map)
    return emitOpError("operand must be a map, found ") << getMap().getType();
  auto value = dyn_cast<TensorType>(map.getValueType());
  if (!value)
    return emitOpError("the values of the map must be tensors, found ") << map.getValueType();
  return SmallVector<InferredType, 1>{{map.getKeyType(), unknownShape(1)},
                                      {value.getElementType(), unknownShape(1)}};
}

#define GET_OP_CLASSES
#include "ir/LabelOps.cpp.inc"

void NNDialect::registerLabelOps() {
  addOperations<
#define GET_OP_LIST
#include "ir/LabelOps.cpp.inc"
      >();
}
