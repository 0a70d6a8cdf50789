//===- AttentionOps.cpp - rules of attention ------------------------------===//
#include "ir/AttentionOps.h"
#include "ir/TypeRules.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::nn::detail;

static constexpr int64_t kRank = 4;

static LogicalResult verifyPerm(AttentionOp op, ArrayRef<int64_t> perm, StringRef name) {
  SmallVector<int64_t> sorted(perm);
  llvm::sort(sorted);
  if (llvm::equal(sorted, llvm::seq<int64_t>(0, kRank)))
    return success();
  return op.emitOpError() << name << " must be a permutation of 4 dimensions";
}

/// Fails unless `operand` is none, of unknown shape, or one element.
static LogicalResult verifyNumber(const ShapeFacts &facts, AttentionOp op, Value operand,
                                  StringRef name) {
  std::optional<int64_t> length = isNone(operand) ? 1 : facts.lengthOf(operand);
  if (length.value_or(1) == 1)
    return success();
  return op.emitOpError() << name << " must be one number, found " << *length;
}

static LogicalResult verifyOperands(const ShapeFacts &facts, AttentionOp op, Type sums) {
  if (failed(requireSameElements(op, op.getValue(), "value", op.getQuery())) ||
      failed(requireAddend(op, op.getMask(), "mask", sums)) ||
      failed(requireAddend(op, op.getScale(), "scale", sums)) ||
      failed(verifyNumber(facts, op, op.getScale(), "scale")) ||
      failed(verifyNumber(facts, op, op.getOffset(), "offset")))
    return failure();
  std::optional<Type> scoreType = op.getScoreType();
  if (scoreType && !scoreType->isF16() && !scoreType->isBF16())
    return op.emitOpError("score_type must be f16 or bf16, found ") << *scoreType;
  if (!isNone(op.getCondition()) && !elementTypeOf(op.getCondition()).isInteger(1))
    return op.emitOpError("condition must hold bool, found ") << elementTypeOf(op.getCondition());
  if (!isNone(op.getOffset()) && !op.getCausal())
    return op.emitOpError("has an offset, but is not causal");
  if (!isNone(op.getOffset()) && !elementTypeOf(op.getOffset()).isSignlessInteger(64))
    return op.emitOpError("offset must hold int64, found ") << elementTypeOf(op.getOffset());
  if (failed(verifyPerm(op, op.getQueryPerm(), "query_perm")) ||
      failed(verifyPerm(op, op.getKeyPerm(), "key_perm")) ||
      failed(verifyPerm(op, op.getValuePerm(), "value_perm")))
    return failure();
  return verifyPerm(op, op.getResultPerm(), "result_perm");
}

/// The sizes of an operand, [batch, heads, length, size].
static FailureOr<Shape> sizesOf(const ShapeFacts &facts, AttentionOp op, Value operand,
                                ArrayRef<int64_t> perm, StringRef name) {
  std::optional<Shape> shape = facts.shapeOf(operand);
  if (!shape)
    return unknownShape(kRank);
  if (shape->rank() != kRank)
    return op.emitOpError() << name << " must have rank 4, found " << shape->rank();
  DimVector dims;
  for (int64_t i : perm)
    dims.push_back((*shape)[i]);
  return Shape(std::move(dims));
}

/// The sizes of what broadcasts to the scores, with ones before them.
static FailureOr<Shape> sizesOfMask(const ShapeFacts &facts, AttentionOp op, Value mask,
                                    StringRef name) {
  if (isNone(mask))
    return Shape(DimVector(kRank, Dim(1)));
  std::optional<Shape> shape = facts.shapeOf(mask);
  if (!shape)
    return unknownShape(kRank);
  if (shape->rank() > kRank)
    return op.emitOpError() << name << " must have rank 4 or less, found " << shape->rank();
  DimVector dims(static_cast<size_t>(kRank - shape->rank()), Dim(1));
  dims.append(shape->dims().begin(), shape->dims().end());
  return Shape(std::move(dims));
}

static FailureOr<Dim> broadcast(AttentionOp op, const Dim &a, const Dim &b, StringRef what) {
  Expected<Dim> dim = broadcastDim(a, b);
  if (!dim)
    return op.emitOpError() << what << ": " << dim.status().message();
  return *dim;
}

/// How many heads there are where `many` meet `few`, of which each may serve several.
static FailureOr<Dim> groupHeads(AttentionOp op, const Dim &many, const Dim &few, StringRef name) {
  if (few.isStatic(1) || many.provablyEquals(few))
    return many;
  if (many.isStatic(1))
    return few;
  if (!many.isStatic())
    return Dim();
  if (few.isStatic() && (few.size() == 0 || many.size() % few.size() != 0))
    return op.emitOpError() << many.size() << " heads are no multiple of " << few.size()
                            << " heads of " << name;
  return many;
}

InferredTypes AttentionOp::inferResultTypes(const ShapeFacts &facts) {
  if (failed(requireFloats(*this, getQuery(), "query")))
    return failure();
  FailureOr<Type> sums = sumTypeOf(*this, "query", "key");
  if (failed(sums) || failed(verifyOperands(facts, *this, *sums)))
    return failure();
  FailureOr<Shape> query = sizesOf(facts, *this, getQuery(), getQueryPerm(), "query"),
                   key = sizesOf(facts, *this, getKey(), getKeyPerm(), "key"),
                   value = sizesOf(facts, *this, getValue(), getValuePerm(), "value"),
                   mask = sizesOfMask(facts, *this, getMask(), "mask"),
                   condition = sizesOfMask(facts, *this, getCondition(), "condition");
  if (failed(query) || failed(key) || failed(value) || failed(mask) || failed(condition))
    return failure();
  enum { kBatch, kHeads, kLength, kSize };
  if (failed(requireDim(*this, (*key)[kSize], (*query)[kSize], "the size of a head of key")))
    return failure();
  FailureOr<Dim> keys = broadcast(*this, (*key)[kLength], (*mask)[kSize], "keys of the mask"),
                 queries =
                     broadcast(*this, (*query)[kLength], (*mask)[kLength], "queries of the mask"),
                 batch = broadcast(*this, (*query)[kBatch], (*key)[kBatch], "batch"),
                 heads = groupHeads(*this, (*query)[kHeads], (*key)[kHeads], "key");
  auto spread = [&](FailureOr<Dim> &dim, const FailureOr<Shape> &by, int64_t i, StringRef what) {
    if (succeeded(dim))
      dim = broadcast(*this, *dim, (*by)[i], what);
  };
  spread(batch, mask, kBatch, "batch of the mask");
  spread(heads, mask, kHeads, "heads of the mask");
  spread(keys, condition, kSize, "keys of the condition");
  spread(queries, condition, kLength, "queries of the condition");
  spread(batch, condition, kBatch, "batch of the condition");
  spread(heads, condition, kHeads, "heads of the condition");
  if (failed(keys) || failed(queries) || failed(batch) || failed(heads) ||
      failed(requireDim(*this, (*value)[kLength], *keys, "the length of value")))
    return failure();
  batch = broadcast(*this, *batch, (*value)[kBatch], "batch of value");
  heads = groupHeads(*this, *heads, (*value)[kHeads], "value");
  if (failed(batch) || failed(heads))
    return failure();
  const Dim sizes[] = {*batch, *heads, *queries, (*value)[kSize]};
  DimVector dims;
  for (int64_t i : getResultPerm())
    dims.push_back(sizes[i]);
  return rankedResult(*this, Shape(std::move(dims)), *sums);
}

#define GET_OP_CLASSES
#include "ir/AttentionOps.cpp.inc"

void NNDialect::registerAttentionOps() {
  addOperations<
#define GET_OP_LIST
#include "ir/AttentionOps.cpp.inc"
      >();
}
