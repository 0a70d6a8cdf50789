//===- SelectionOps.cpp - rules of ops that select by value ------------------===//
#include "ir/SelectionOps.h"
#include "ir/TypeRules.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::nn::detail;

/// Fails unless `tensor` is none or one element of this type.
static LogicalResult requireOne(Operation *op, const ShapeFacts &facts, Value tensor,
                                StringRef name, Type element) {
  if (isNone(tensor))
    return success();
  if (elementTypeOf(tensor) != element)
    return op->emitOpError() << name << " must be of type " << element << ", found "
                             << elementTypeOf(tensor);
  std::optional<int64_t> length = facts.lengthOf(tensor);
  if (length && *length != 1)
    return op->emitOpError() << name << " must have one element, found " << *length;
  return success();
}

static LogicalResult requireRank3(Operation *op, const std::optional<Shape> &shape,
                                  StringRef name) {
  if (!shape || shape->rank() == 3)
    return success();
  return op->emitOpError() << name << " must have rank 3, found " << shape->rank();
}

InferredTypes NonMaxSuppressionOp::inferResultTypes(const ShapeFacts &facts) {
  Type f32 = FloatType::getF32(getContext()), i64 = IntegerType::get(getContext(), 64);
  for (auto [tensor, name] : {std::pair(getBoxes(), "boxes"), {getScores(), "scores"}})
    if (elementTypeOf(tensor) != f32)
      return emitOpError() << name << " must hold float32, found " << elementTypeOf(tensor);
  if (failed(requireOne(*this, facts, getMaxOutput(), "max_output", i64)) ||
      failed(requireOne(*this, facts, getIouThreshold(), "iou_threshold", f32)) ||
      failed(requireOne(*this, facts, getScoreThreshold(), "score_threshold", f32)))
    return failure();
  std::optional<Shape> boxes = facts.shapeOf(getBoxes()), scores = facts.shapeOf(getScores());
  if (failed(requireRank3(*this, boxes, "boxes")) || failed(requireRank3(*this, scores, "scores")))
    return failure();
  if (boxes && failed(requireDim(*this, (*boxes)[2], Dim(4), "dimension 2 of boxes")))
    return failure();
  if (boxes && scores &&
      (failed(requireDim(*this, (*scores)[0], (*boxes)[0], "dimension 0 of scores")) ||
       failed(requireDim(*this, (*scores)[2], (*boxes)[1], "dimension 2 of scores"))))
    return failure();
  return rankedResult(*this, Shape({Dim(), Dim(3)}), i64);
}

InferredTypes UniqueOp::inferResultTypes(const ShapeFacts &facts) {
  std::optional<Shape> shape = facts.shapeOf(getInput());
  Type element = elementTypeOf(getInput());
  InferredTypes types = unrankedResult(element);
  if (!getAxis()) {
    types = resultOfRank(*this, 1, element);
  } else if (shape) {
    FailureOr<int64_t> axis = resolveAxis(*this, *getAxis(), shape->rank());
    if (failed(axis))
      return failure();
    (*shape)[*axis] = Dim();
    types = rankedResult(*this, *shape, element);
  }
  InferredTypes vector = resultOfRank(*this, 1, IntegerType::get(getContext(), 64));
  if (failed(types) || failed(vector))
    return failure();
  types->append(3, vector->front());
  return types;
}

#define GET_OP_CLASSES
#include "ir/SelectionOps.cpp.inc"

void NNDialect::registerSelectionOps() {
  addOperations<
#define GET_OP_LIST
#include "ir/SelectionOps.cpp.inc"
      >();
}
