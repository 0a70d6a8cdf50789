//===- CostRules.cpp - what the problem of an op demands ------------------===//
#include "backends/plan/CostRules.h"

#include "backends/plan/CostFacts.h"
#include "ir/AttentionOps.h"
#include "ir/FusionGroup.h"
#include "ir/RecurrentOps.h"
#include "ir/Types.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace quern;
using namespace quern::plan;

//===----------------------------------------------------------------------===//
// Sizes
//===----------------------------------------------------------------------===//

/// What a value of a group stands for outside of it.
Value CostFacts::outside(Value value) const { return nn::outerValue(op, value); }

ArrayRef<int64_t> CostFacts::sizesOf(Value value) const { return env.sizesOf(outside(value)); }

double CostFacts::sizeOf(Value value, int64_t dim) const {
  ArrayRef<int64_t> sizes = sizesOf(value);
  return static_cast<double>(sizes[dim < 0 ? dim + static_cast<int64_t>(sizes.size()) : dim]);
}

double CostFacts::elementsOf(Value value) const {
  Value outer = outside(value);
  if (nn::isNone(outer) || !isa<TensorType>(outer.getType()) || !env.hasSizes(outer))
    return 0;
  double elements = 1;
  for (int64_t size : env.sizesOf(outer))
    elements *= static_cast<double>(size);
  return elements;
}

double CostFacts::bytesOf(Value value) const {
  if (!isa<TensorType>(value.getType()))
    return 0;
  // Those of less than a byte as they are packed, however they are kept.
  return elementsOf(value) * dtypeBits(dtypeOfValue(value)) / 8;
}

bool CostFacts::areSizesKnown() const {
  auto isKnown = [&](Value value) {
    return !isa<TensorType>(value.getType()) || env.hasSizes(value);
  };
  if (!llvm::all_of(op->getOperands(), isKnown) || !llvm::all_of(op->getResults(), isKnown))
    return false;
  auto group = dyn_cast<nn::GroupOp>(op);
  return !group ||
         llvm::all_of(group.getBody().front().without_terminator(),
                      [&](Operation &inner) { return llvm::all_of(inner.getResults(), isKnown); });
}

StepCost CostFacts::wholeValues() const {
  StepCost cost;
  llvm::SmallDenseSet<Value, 8> seen;
  for (Value operand : op->getOperands())
    if (seen.insert(operand).second)
      cost.bytesRead += bytesOf(operand);
  for (Value value : op->getResults())
    cost.bytesWritten += bytesOf(value);
  return cost;
}

//===----------------------------------------------------------------------===//
// The table
//===----------------------------------------------------------------------===//

std::span<const CostRow> plan::costTable() {
  static const std::vector<CostRow> rows = [] {
    std::vector<CostRow> all;
    for (auto rowsOfFamily : {productCosts, reductionCosts, moveCosts})
      llvm::append_range(all, rowsOfFamily());
    return all;
  }();
  return rows;
}

static const CostRow *findRow(Operation *op) {
  static const auto byOp = [] {
    llvm::DenseMap<TypeID, const CostRow *> map;
    for (const CostRow &row : costTable())
      map[row.op] = &row;
    return map;
  }();
  return byOp.lookup(op->getName().getTypeID());
}

//===----------------------------------------------------------------------===//
// Costs
//===----------------------------------------------------------------------===//

/// Of one op, which may be in a group. An elementwise op is one operation for each element of its
/// result, whatever it computes.
static double operationsOf(Operation *op, const CostFacts &facts) {
  if (isa<nn::ElementwiseOpInterface>(op))
    return facts.elementsOf(op->getResult(0));
  const CostRow *row = findRow(op);
  return row && row->flops ? row->flops(op, facts) : 0;
}

/// What the products of an op are of, by what it multiplies.
static Engine engineOf(Operation *op) {
  if (!isa<nn::ConvOp, nn::ConvTransposeOp, nn::MatMulOp, nn::GemmOp, nn::AttentionOp,
           nn::RecurrentOp>(op))
    return Engine::Float32;
  unsigned factors = isa<nn::RecurrentOp>(op) ? 1 : 0; // the recurrence
  Type factor = nn::elementTypeOf(op->getOperand(factors)),
       sums = nn::elementTypeOf(op->getResult(0));
  if (factor == sums)
    return Engine::Float32;
  return factor.isInteger(8) ? Engine::Int8 : factor.isBF16() ? Engine::BFloat16 : Engine::Float32;
}

StepCost plan::costOf(Operation *op, const ShapeEnvironment &values) {
  CostFacts facts(op, values);
  StepCost cost = facts.wholeValues();
  Operation *anchor = nn::groupAnchor(op);
  cost.engine = engineOf(anchor ? anchor : op);
  if (!facts.areSizesKnown())
    return cost;
  if (auto group = dyn_cast<nn::GroupOp>(op)) {
    for (Operation &inner : group.getBody().front().without_terminator())
      cost.flops += operationsOf(&inner, facts);
    return cost;
  }
  cost.flops = operationsOf(op, facts);
  if (const CostRow *row = findRow(op); row && row->touchPart)
    row->touchPart(op, facts, cost);
  return cost;
}
