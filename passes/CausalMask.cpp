//===- CausalMask.cpp - masks that let queries see no later keys ----------===//
#include "passes/CausalMask.h"

#include "ir/Constants.h"
#include "ir/NNDialect.h"
#include "ir/Types.h"

#include <algorithm>

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

/// Whether `value` is 0, 1, 2, ...
static bool isCount(Value value) {
  if (auto range = value.getDefiningOp<RangeOp>()) {
    auto start = constantInts(range.getStart()), delta = constantInts(range.getDelta());
    return start && delta && start->front() == 0 && delta->front() == 1;
  }
  std::optional<Tensor> known = constantTensor(value);
  if (!known || known->dtype() != DType::Int64)
    return false;
  for (int64_t i = 0; i < known->numElements(); ++i)
    if (known->data<int64_t>()[i] != i)
      return false;
  return true;
}

/// The tensor that a dimension of size 1 was appended to; null when `value` is no column.
static Value rowOfColumn(Value value) {
  std::optional<Shape> shape = shapeOf(value);
  if (!shape || shape->rank() != 2 || !(*shape)[1].isStatic(1))
    return {};
  Value input;
  if (auto unsqueeze = value.getDefiningOp<UnsqueezeOp>())
    input = unsqueeze.getInput();
  else if (auto reshape = value.getDefiningOp<ReshapeOp>())
    input = reshape.getInput();
  else
    return isConstant(value) ? value : Value();
  std::optional<Shape> row = shapeOf(input);
  return row && row->rank() == 1 ? input : Value();
}

static bool isOneInteger(Value value) {
  std::optional<Shape> shape = shapeOf(value);
  return shape && shape->numElements() == 1 && elementTypeOf(value).isSignlessInteger(64);
}

/// keys <= queries (+ offset), of as many as there are scores.
static std::optional<CausalMask> matchComparison(Value allowed, const Dim &queries,
                                                 const Dim &keys) {
  auto compare = allowed.getDefiningOp<LessOrEqualOp>();
  if (!compare || !isCount(compare.getA()))
    return std::nullopt;
  CausalMask found;
  Value places = compare.getB(), row = rowOfColumn(places);
  if (auto add = places.getDefiningOp<AddOp>(); add && !row)
    for (auto [column, offset] :
         {std::pair(add.getA(), add.getB()), std::pair(add.getB(), add.getA())})
      if (isOneInteger(offset) && !row) {
        row = rowOfColumn(column);
        found.offset = offset;
      }
  if (!row || !isCount(row))
    return std::nullopt;
  std::optional<Shape> counted = shapeOf(compare.getA()), placed = shapeOf(places);
  if (!counted || counted->rank() != 1 || !(*counted)[0].provablyEquals(keys) || !placed ||
      placed->rank() != 2 || !(*placed)[0].provablyEquals(queries))
    return std::nullopt;
  return found;
}

/// How many zeros `row` begins with; nullopt unless -infinity follows to the end.
static std::optional<int64_t> zerosBefore(const float *row, int64_t size) {
  auto isZero = [](float v) { return v == 0; };
  auto isHidden = [](float v) { return v == -kInfinity; };
  const float *end = std::find_if_not(row, row + size, isZero);
  if (!std::all_of(end, row + size, isHidden))
    return std::nullopt;
  return end - row;
}

static std::optional<CausalMask> matchConstant(Value mask, const Dim &queryCount,
                                               const Dim &keyCount) {
  constexpr int64_t kMostElements = 1 << 24;
  auto type = dyn_cast<RankedTensorType>(mask.getType());
  if (!isConstant(mask) || !type || type.getRank() < 2 || !type.getElementType().isF32() ||
      type.getNumElements() > kMostElements)
    return std::nullopt;
  int64_t keys = type.getShape().back(), queries = type.getDimSize(type.getRank() - 2);
  if (keys == 0 || queries == 0 || type.getNumElements() != keys * queries ||
      !keyCount.isStatic(keys) || !queryCount.isStatic(queries))
    return std::nullopt;
  std::optional<Tensor> elements = constantTensor(mask);
  if (!elements)
    return std::nullopt;
  CausalMask found;
  for (int64_t i = 0; i < queries; ++i) {
    std::optional<int64_t> seen = zerosBefore(elements->data<float>() + i * keys, keys);
    if (seen && i == 0)
      found.constant = *seen - 1;
    // A first row without a key would not tell where the second one begins.
    if (!seen || *seen == 0 || *seen != std::min(i + found.constant + 1, keys))
      return std::nullopt;
  }
  return found;
}

/// Whether `mask` has a row for each query and nothing before: more dimensions would be those of
/// the scores, too.
static bool isMatrix(Value mask, const Dim &queries, const Dim &keys) {
  std::optional<Shape> shape = shapeOf(mask);
  if (!shape || shape->rank() < 2)
    return false;
  int64_t rows = shape->rank() - 2;
  for (int64_t i = 0; i < rows; ++i)
    if (!(*shape)[i].isStatic(1))
      return false;
  return (*shape)[rows].provablyEquals(queries) && (*shape)[rows + 1].provablyEquals(keys);
}

std::optional<CausalMask> passes::matchCausalMask(Value mask, const Dim &queries, const Dim &keys) {
  if (!isMatrix(mask, queries, keys))
    return std::nullopt;
  auto where = mask.getDefiningOp<WhereOp>();
  if (!where)
    return matchConstant(mask, queries, keys);
  if (onlyReal(where.getOperand(1)) != 0.0 || onlyReal(where.getOperand(2)) != -kInfinity)
    return std::nullopt;
  return matchComparison(where.getOperand(0), queries, keys);
}
