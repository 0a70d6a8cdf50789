//===- TextOps.cpp - rules of ops on strings ------------------------------===//
#include "ir/TextOps.h"
#include "ir/TypeRules.h"

#include <algorithm>

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::nn::detail;

static LogicalResult requireStrings(Operation *op, Value tensor, StringRef name) {
  if (isNone(tensor) || isa<StringType>(elementTypeOf(tensor)))
    return success();
  return op->emitOpError() << name << " must hold strings, found " << elementTypeOf(tensor);
}

/// Results of this shape, or of any while it is not known.
static InferredTypes resultLike(Operation *op, const std::optional<Shape> &shape, Type element) {
  return shape ? rankedResult(op, *shape, element) : unrankedResult(element);
}

InferredTypes StringConcatOp::inferResultTypes(const ShapeFacts &facts) {
  if (failed(requireStrings(*this, getLeft(), "left")) ||
      failed(requireStrings(*this, getRight(), "right")))
    return failure();
  Type element = elementTypeOf(getLeft());
  std::optional<Shape> a = facts.shapeOf(getLeft()), b = facts.shapeOf(getRight());
  if (!a || !b)
    return unrankedResult(element);
  Expected<Shape> shape = broadcastShapes(*a, *b);
  if (!shape)
    return emitOpError(shape.status().message());
  return rankedResult(*this, *shape, element);
}

InferredTypes StringNormalizeOp::inferResultTypes(const ShapeFacts &facts) {
  if (failed(requireStrings(*this, getInput(), "input")) ||
      failed(requireStrings(*this, getStopwords(), "stopwords")))
    return failure();
  StringRef action = getCaseAction();
  if (action != "NONE" && action != "LOWER" && action != "UPPER")
    return emitOpError("case_action must be NONE, LOWER or UPPER, found ") << action;
  std::optional<Shape> shape = facts.shapeOf(getInput());
  if (shape && shape->rank() != 1 && shape->rank() != 2)
    return emitOpError("input must have rank 1 or 2, found ") << shape->rank();
  if (shape && shape->rank() == 2 &&
      failed(requireDim(*this, (*shape)[0], Dim(1), "dimension 0 of input")))
    return failure();
  if (shape)
    (*shape)[shape->rank() - 1] = Dim();
  return resultLike(*this, shape, elementTypeOf(getInput()));
}

InferredTypes StringSplitOp::inferResultTypes(const ShapeFacts &facts) {
  if (failed(requireStrings(*this, getInput(), "input")))
    return failure();
  std::optional<Shape> shape = facts.shapeOf(getInput());
  std::optional<Shape> parts = shape;
  if (parts) {
    DimVector dims = parts->dims();
    dims.push_back(Dim());
    parts = Shape(std::move(dims));
  }
  InferredTypes first = resultLike(*this, parts, elementTypeOf(getInput()));
  InferredTypes second = resultLike(*this, shape, IntegerType::get(getContext(), 64));
  if (failed(first) || failed(second))
    return failure();
  first->push_back(second->front());
  return first;
}

InferredTypes RegexMatchOp::inferResultTypes(const ShapeFacts &facts) {
  if (failed(requireStrings(*this, getInput(), "input")))
    return failure();
  return resultLike(*this, facts.shapeOf(getInput()), IntegerType::get(getContext(), 1));
}

/// The counts and indexes of an n-gram pool fit each other, which may come from a file.
static LogicalResult verifyPool(TfIdfOp op) {
  ArrayRef<int64_t> counts = op.getNgramCounts(), indexes = op.getNgramIndexes();
  if (op.getMode() != "TF" && op.getMode() != "IDF" && op.getMode() != "TFIDF")
    return op.emitOpError("mode must be TF, IDF or TFIDF, found ") << op.getMode();
  if (op.getMinGramLength() < 1 || op.getMaxGramLength() < op.getMinGramLength())
    return op.emitOpError("n-grams cannot be of length ")
           << op.getMinGramLength() << " to " << op.getMaxGramLength();
  if (op.getMaxSkipCount() < 0)
    return op.emitOpError("max_skip_count must not be negative, found ") << op.getMaxSkipCount();
  if (counts.empty() || counts.front() != 0 || !llvm::is_sorted(counts))
    return op.emitOpError("ngram_counts must start with 0 and not fall");
  if (indexes.empty() || llvm::any_of(indexes, [](int64_t i) { return i < 0; }))
    return op.emitOpError("ngram_indexes must be columns, one or more");
  return success();
}

InferredTypes TfIdfOp::inferResultTypes(const ShapeFacts &facts) {
  if (failed(verifyPool(*this)))
    return failure();
  Type words = elementTypeOf(getInput()), pool = elementTypeOf(getPool());
  bool areStrings = isa<StringType>(words) && isa<StringType>(pool);
  bool areNumbers =
      (words.isSignlessInteger(32) || words.isSignlessInteger(64)) && pool.isSignlessInteger(64);
  if (!areStrings && !areNumbers)
    return emitOpError("looks for ") << pool << " in a tensor of " << words;
  int64_t last = *llvm::max_element(getNgramIndexes());
  if (last == std::numeric_limits<int64_t>::max())
    return emitOpError("the number of columns overflows");
  if (!getWeights().empty() && getWeights().size() != getNgramIndexes().size())
    return emitOpError("there are ")
           << getWeights().size() << " weights of " << getNgramIndexes().size() << " n-grams";
  Type element = FloatType::getF32(getContext());
  std::optional<Shape> input = facts.shapeOf(getInput());
  if (!input)
    return unrankedResult(element);
  if (input->rank() > 2)
    return emitOpError("input must have rank 2 or less, found ") << input->rank();
  DimVector dims;
  if (input->rank() == 2)
    dims.push_back((*input)[0]);
  dims.push_back(Dim(last + 1));
  return rankedResult(*this, Shape(std::move(dims)), element);
}

#define GET_OP_CLASSES
#include "ir/TextOps.cpp.inc"

void NNDialect::registerTextOps() {
  addOperations<
#define GET_OP_LIST
#include "ir/TextOps.cpp.inc"
      >();
}
