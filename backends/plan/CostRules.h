//===- CostRules.h - what the problem of an op demands --------------------===//
//
// One rule for each op, of sizes alone: docs/costs.md states them. What a kernel does beyond
// them, padding, packing, unfolding or several passes, is its overhead and no part of a cost.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/plan/ShapeEnvironment.h"
#include "quern/StepCost.h"

#include "mlir/IR/Operation.h"
#include "mlir/Support/TypeID.h"
#include "llvm/ADT/StringRef.h"

#include <span>

namespace quern::plan {

using quern::StepCost;

/// The cost of `op`, an nn.group or an op of its own, for the sizes in `values`: the same for
/// whatever computes it. Values whose sizes are not known count nothing, and with them no
/// operations are counted.
StepCost costOf(mlir::Operation *op, const ShapeEnvironment &values);

class CostFacts;

/// The rule of an op; those of elementwise ops need no row.
struct CostRow {
  mlir::TypeID op;
  llvm::StringLiteral opName;
  /// Null for an op that only moves elements.
  double (*flops)(mlir::Operation *op, const CostFacts &facts);
  /// Corrects the bytes of an op that reads or writes only a part of some values; null for others.
  void (*touchPart)(mlir::Operation *op, const CostFacts &facts, StepCost &cost);
};
std::span<const CostRow> costTable();

} // namespace quern::plan
