//===- GatherOps.cpp - rules of gathers and scatters ----------------------===//
#include "ir/GatherOps.h"
#include "ir/TypeRules.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::nn::detail;

static constexpr int64_t kAnyRank = std::numeric_limits<int64_t>::max();

/// Fails unless `indices` has the rank of `input` and fits it beside `axis`.
static LogicalResult verifyElementIndices(Operation *op, const Shape &input, const Shape &indices,
                                          int64_t axis) {
  FailureOr<int64_t> resolved = resolveAxis(op, axis, input.rank());
  if (failed(resolved))
    return failure();
  if (indices.rank() != input.rank())
    return op->emitOpError("indices must have the rank of the input, ")
           << input.rank() << ", found " << indices.rank();
  for (int64_t i = 0; i < input.rank(); ++i)
    if (i != *resolved && input[i].isStatic() && indices[i].isStatic() &&
        indices[i].size() > input[i].size())
      return op->emitOpError("dimension ") << i << " of indices must be at most " << input[i].size()
                                           << ", found " << indices[i].size();
  return success();
}

InferredTypes GatherElementsOp::inferResultTypes(const ShapeFacts &facts) {
  Type elementType = elementTypeOf(getInput());
  if (failed(requireIndices(facts, *this, getIndices(), "indices", kAnyRank)))
    return failure();
  std::optional<Shape> input = facts.shapeOf(getInput()), indices = facts.shapeOf(getIndices());
  if (input && indices && failed(verifyElementIndices(*this, *input, *indices, getAxis())))
    return failure();
  if (indices)
    return rankedResult(*this, *indices, elementType);
  return input ? resultOfRank(*this, input->rank(), elementType) : unrankedResult(elementType);
}

InferredTypes ScatterElementsOp::inferResultTypes(const ShapeFacts &facts) {
  if (failed(requireIndices(facts, *this, getIndices(), "indices", kAnyRank)) ||
      failed(requireSameElements(*this, getUpdates(), "updates", getInput())))
    return failure();
  std::optional<Shape> input = facts.shapeOf(getInput()), indices = facts.shapeOf(getIndices()),
                       updates = facts.shapeOf(getUpdates());
  if (input && indices && failed(verifyElementIndices(*this, *input, *indices, getAxis())))
    return failure();
  if (indices && updates) {
    if (indices->rank() != updates->rank())
      return emitOpError("updates must have the rank of indices, ")
             << indices->rank() << ", found " << updates->rank();
    for (int64_t i = 0; i < indices->rank(); ++i)
      if (failed(requireDim(*this, (*updates)[i], (*indices)[i],
                            "dimension " + Twine(i) + " of updates")))
        return failure();
  }
  if (!input)
    return unrankedResult(elementTypeOf(getInput()));
  return rankedResult(*this, *input, elementTypeOf(getInput()));
}

/// The shape of the slices that the tuples in `indices` select, after `batchDims` common
/// dimensions; nullopt while the length of a tuple is unknown.
static FailureOr<std::optional<Shape>> slicesShape(Operation *op, const Shape &input,
                                                   const Shape &indices, int64_t batchDims) {
  if (failed(requireRankAtLeast(op, input, 1)) || failed(requireRankAtLeast(op, indices, 1)))
    return failure();
  int64_t tuples = indices.rank() - 1;
  if (batchDims < 0 || batchDims > std::min(input.rank(), tuples))
    return op->emitOpError("batch_dims must be in [0, ")
           << std::min(input.rank(), tuples) << "], found " << batchDims;
  for (int64_t i = 0; i < batchDims; ++i)
    if (failed(requireDim(op, indices[i], input[i], "batch dimension " + Twine(i) + " of indices")))
      return failure();
  if (!indices[tuples].isStatic())
    return std::optional<Shape>();
  int64_t length = indices[tuples].size();
  if (length > input.rank() - batchDims)
    return op->emitOpError("an index of ")
           << length << " entries is too long for a rank of " << input.rank() << " with "
           << batchDims << " batch dimensions";
  DimVector dims(indices.dims().begin(), indices.dims().end() - 1);
  dims.append(input.dims().begin() + batchDims + length, input.dims().end());
  return std::optional(Shape(std::move(dims)));
}

InferredTypes GatherNDOp::inferResultTypes(const ShapeFacts &facts) {
  Type elementType = elementTypeOf(getInput());
  if (failed(requireIndices(facts, *this, getIndices(), "indices", kAnyRank)))
    return failure();
  std::optional<Shape> input = facts.shapeOf(getInput()), indices = facts.shapeOf(getIndices());
  if (!input || !indices)
    return unrankedResult(elementType);
  FailureOr<std::optional<Shape>> slices = slicesShape(*this, *input, *indices, getBatchDims());
  if (failed(slices))
    return failure();
  return *slices ? rankedResult(*this, **slices, elementType) : unrankedResult(elementType);
}

InferredTypes ScatterNDOp::inferResultTypes(const ShapeFacts &facts) {
  Type elementType = elementTypeOf(getInput());
  if (failed(requireIndices(facts, *this, getIndices(), "indices", kAnyRank)) ||
      failed(requireSameElements(*this, getUpdates(), "updates", getInput())))
    return failure();
  std::optional<Shape> input = facts.shapeOf(getInput()), indices = facts.shapeOf(getIndices()),
                       updates = facts.shapeOf(getUpdates());
  if (!input)
    return unrankedResult(elementType);
  if (indices) {
    FailureOr<std::optional<Shape>> slices = slicesShape(*this, *input, *indices, /*batchDims=*/0);
    if (failed(slices))
      return failure();
    if (*slices && updates) {
      if (updates->rank() != (*slices)->rank())
        return emitOpError("updates must have rank ")
               << (*slices)->rank() << ", found " << updates->rank();
      for (int64_t i = 0; i < updates->rank(); ++i)
        if (failed(requireDim(*this, (*updates)[i], (**slices)[i],
                              "dimension " + Twine(i) + " of updates")))
          return failure();
    }
  }
  return rankedResult(*this, *input, elementType);
}

#define GET_OP_CLASSES
#include "ir/GatherOps.cpp.inc"

void NNDialect::registerGatherOps() {
  addOperations<
#define GET_OP_LIST
#include "ir/GatherOps.cpp.inc"
      >();
}
