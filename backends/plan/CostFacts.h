//===- CostFacts.h - what rules of costs may ask, and the rules -----------===//
#pragma once

#include "backends/plan/CostRules.h"
#include "ir/NNOps.h"

namespace quern::plan {

/// The sizes of the values of an op, or of the ops in a group. Numbers are doubles, which do not
/// overflow.
class CostFacts {
public:
  /// `op` is an op of the graph: a group stands for the ops in it.
  CostFacts(mlir::Operation *op, const ShapeEnvironment &values) : op(op), env(values) {}

  llvm::ArrayRef<int64_t> sizesOf(mlir::Value value) const;
  /// Of the dimension `dim`, counted from the end when it is negative.
  double sizeOf(mlir::Value value, int64_t dim) const;
  /// 0 of what is left out, of what is no tensor, and of unknown sizes.
  double elementsOf(mlir::Value value) const;
  /// The same for strings, whose lengths nobody knows.
  double bytesOf(mlir::Value value) const;
  /// Whether the sizes of all tensors are known, those of values in the group among them.
  bool areSizesKnown() const;
  /// The bytes of all operands and results, each value once.
  StepCost wholeValues() const;
  const ShapeEnvironment &values() const { return env; }

private:
  mlir::Value outside(mlir::Value value) const;

  mlir::Operation *op;
  const ShapeEnvironment &env;
};

/// An op that computes, from all of its operands. All sizes are known where operations are counted.
template <typename Op, double (*Flops)(Op op, const CostFacts &facts)> CostRow computes() {
  return {
      mlir::TypeID::get<Op>(), Op::getOperationName(),
      [](mlir::Operation *op, const CostFacts &facts) { return Flops(llvm::cast<Op>(op), facts); },
      nullptr};
}

/// An op that only moves elements, all of them.
template <typename Op> CostRow moves() {
  return {mlir::TypeID::get<Op>(), Op::getOperationName(), nullptr, nullptr};
}

/// An op whose operations only data tells: what it moves is counted.
template <typename Op> CostRow dependsOnData() { return moves<Op>(); }

/// An op that only moves elements, a part of what it is given. `Touch` corrects the bytes of all.
template <typename Op, void (*Touch)(Op op, const CostFacts &facts, StepCost &cost)>
CostRow movesPart() {
  CostRow row = moves<Op>();
  row.touchPart = [](mlir::Operation *op, const CostFacts &facts, StepCost &cost) {
    Touch(llvm::cast<Op>(op), facts, cost);
  };
  return row;
}

/// An op that computes, from a part of some operands or for a part of its result.
template <typename Op, double (*Flops)(Op op, const CostFacts &facts),
          void (*Touch)(Op op, const CostFacts &facts, StepCost &cost)>
CostRow computesPart() {
  CostRow row = computes<Op, Flops>();
  row.touchPart = movesPart<Op, Touch>().touchPart;
  return row;
}

// The rows of Cost<Family>.cpp.
std::span<const CostRow> productCosts();
std::span<const CostRow> reductionCosts();
std::span<const CostRow> moveCosts();

} // namespace quern::plan
