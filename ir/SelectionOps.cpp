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

static LogicalResult requireRank(Operation *op, const std::optional<Shape> &shape, int64_t rank,
                                 StringRef name) {
  if (!shape || shape->rank() == rank)
    return success();
  return op->emitOpError() << name << " must have rank " << rank << ", found " << shape->rank();
}

/// Fails unless boxes [..., n, 4] and their scores [..., n] are float32, of these ranks.
static LogicalResult requireBoxes(Operation *op, const ShapeFacts &facts, int64_t boxesRank,
                                  int64_t scoresRank) {
  Value boxesOperand = op->getOperand(0), scoresOperand = op->getOperand(1);
  for (auto [tensor, name] : {std::pair(boxesOperand, "boxes"), {scoresOperand, "scores"}})
    if (!elementTypeOf(tensor).isF32())
      return op->emitOpError() << name << " must hold float32, found " << elementTypeOf(tensor);
  std::optional<Shape> boxes = facts.shapeOf(boxesOperand), scores = facts.shapeOf(scoresOperand);
  if (failed(requireRank(op, boxes, boxesRank, "boxes")) ||
      failed(requireRank(op, scores, scoresRank, "scores")))
    return failure();
  int64_t last = boxesRank - 1;
  if (boxes &&
      failed(requireDim(op, (*boxes)[last], Dim(4), "dimension " + Twine(last) + " of boxes")))
    return failure();
  if (!boxes || !scores)
    return success();
  return requireDim(op, (*scores)[scoresRank - 1], (*boxes)[last - 1],
                    "dimension " + Twine(scoresRank - 1) + " of scores");
}

InferredTypes NonMaxSuppressionOp::inferResultTypes(const ShapeFacts &facts) {
  Type f32 = FloatType::getF32(getContext()), i64 = IntegerType::get(getContext(), 64);
  if (failed(requireOne(*this, facts, getMaxOutput(), "max_output", i64)) ||
      failed(requireOne(*this, facts, getIouThreshold(), "iou_threshold", f32)) ||
      failed(requireOne(*this, facts, getScoreThreshold(), "score_threshold", f32)) ||
      failed(requireBoxes(*this, facts, /*boxesRank=*/3, /*scoresRank=*/3)))
    return failure();
  std::optional<Shape> boxes = facts.shapeOf(getBoxes()), scores = facts.shapeOf(getScores());
  if (boxes && scores &&
      failed(requireDim(*this, (*scores)[0], (*boxes)[0], "dimension 0 of scores")))
    return failure();
  return rankedResult(*this, Shape({Dim(), Dim(3)}), i64);
}

/// How many places the results have; unknown while `max_output` is.
static FailureOr<Dim> placesOf(SoftSuppressionOp op, const ShapeFacts &facts) {
  std::optional<std::vector<int64_t>> most = facts.integersOf(op.getMaxOutput());
  if (most && most->front() < 0)
    return op.emitOpError("max_output must not be negative, found ") << most->front();
  if (most)
    return Dim(most->front());
  std::optional<DimVector> dims = facts.dimsIn(op.getMaxOutput());
  return dims && dims->size() == 1 ? dims->front() : Dim();
}

InferredTypes SoftSuppressionOp::inferResultTypes(const ShapeFacts &facts) {
  Type f32 = FloatType::getF32(getContext()), i64 = IntegerType::get(getContext(), 64);
  if (failed(requireOne(*this, facts, getMaxOutput(), "max_output", i64)) ||
      failed(requireOne(*this, facts, getIouThreshold(), "iou_threshold", f32)) ||
      failed(requireOne(*this, facts, getScoreThreshold(), "score_threshold", f32)) ||
      failed(requireOne(*this, facts, getSigma(), "sigma", f32)) ||
      failed(requireBoxes(*this, facts, /*boxesRank=*/2, /*scoresRank=*/1)))
    return failure();
  FailureOr<Dim> places = placesOf(*this, facts);
  if (failed(places))
    return failure();
  InferredTypes types = rankedResult(*this, Shape({*places}), i64);
  InferredTypes scores = rankedResult(*this, Shape({*places}), f32);
  InferredTypes count = rankedResult(*this, Shape(DimVector()), i64);
  if (failed(types) || failed(scores) || failed(count))
    return failure();
  types->append({scores->front(), count->front()});
  return types;
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
