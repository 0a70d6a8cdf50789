//===- TreeOps.cpp - rules of decision trees ------------------------------===//
#include "ir/TreeOps.h"
#include "ir/TypeRules.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::nn::detail;

/// Fails unless a table has the element type and the rank that it needs.
static LogicalResult verifyTable(Operation *op, Value table, StringRef name, DType dtype,
                                 int64_t rank, const ShapeFacts &facts) {
  DType found = dtypeOf(elementTypeOf(table));
  if (found != dtype)
    return op->emitOpError() << name << " must hold " << dtypeName(dtype) << ", found "
                             << elementTypeOf(table);
  std::optional<Shape> shape = facts.shapeOf(table);
  if (shape && shape->rank() != rank)
    return op->emitOpError() << name << " must have rank " << rank << ", found " << shape->rank();
  return success();
}

/// Fails when two tables that have an entry for each of the same things differ in length.
static LogicalResult verifyLength(Operation *op, Value table, StringRef name, Value other,
                                  const ShapeFacts &facts) {
  std::optional<Shape> found = facts.shapeOf(table), wanted = facts.shapeOf(other);
  if (found && wanted)
    return requireDim(op, (*found)[0], (*wanted)[0], "the length of " + name);
  return success();
}

InferredTypes TreeEnsembleOp::inferResultTypes(const ShapeFacts &facts) {
  DType dtype = dtypeOf(elementTypeOf(getInput()));
  if (dtype != DType::Float32 && dtype != DType::Float64)
    return emitOpError("input must hold float32 or float64, found ") << elementTypeOf(getInput());
  if (getKind() != ReduceKind::Sum && getKind() != ReduceKind::Min && getKind() != ReduceKind::Max)
    return emitOpError("kind must be sum, min or max, found ") << nameOf(getKind());
  if (getTargetCount() < 1)
    return emitOpError("target_count must be positive, found ") << getTargetCount();
  if (failed(verifyTable(*this, getNodes(), "nodes", DType::Int32, 2, facts)) ||
      failed(verifyTable(*this, getTests(), "tests", DType::UInt8, 1, facts)) ||
      failed(verifyTable(*this, getThresholds(), "thresholds", dtype, 1, facts)) ||
      failed(verifyTable(*this, getRoots(), "roots", DType::Int32, 1, facts)) ||
      failed(verifyTable(*this, getLeaves(), "leaves", DType::Int32, 1, facts)) ||
      failed(verifyTable(*this, getTargets(), "targets", DType::Int32, 1, facts)) ||
      failed(verifyTable(*this, getWeights(), "weights", dtype, 1, facts)) ||
      failed(verifyLength(*this, getTests(), "tests", getNodes(), facts)) ||
      failed(verifyLength(*this, getThresholds(), "thresholds", getNodes(), facts)) ||
      failed(verifyLength(*this, getWeights(), "weights", getTargets(), facts)))
    return failure();
  std::optional<Shape> nodes = facts.shapeOf(getNodes()), input = facts.shapeOf(getInput());
  if (nodes && failed(requireDim(*this, (*nodes)[1], Dim(3), "dimension 1 of nodes")))
    return failure();
  if (input && input->rank() != 2)
    return emitOpError("input must have rank 2, found ") << input->rank();
  Dim rows = input ? (*input)[0] : Dim();
  return rankedResult(*this, Shape({rows, Dim(getTargetCount())}), elementTypeOf(getInput()));
}

#define GET_OP_CLASSES
#include "ir/TreeOps.cpp.inc"

void NNDialect::registerTreeOps() {
  addOperations<
#define GET_OP_LIST
#include "ir/TreeOps.cpp.inc"
      >();
}
