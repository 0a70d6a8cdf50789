//===- Way.h - the ways of computing an op --------------------------------===//
//
// Where an op can be computed by several algorithms, each is a Way: it says when it cannot, and
// how long it would take. What was measured comes before what is estimated. The choice depends on
// nothing but the problem and the target.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/native/lowering/Lowering.h"
#include "quern/StepCost.h"

#include <span>

namespace quern::native {

/// All get the op, the anchor when it is in a group.
struct Way {
  /// "unfolded": no other way of the op has it.
  const char *name;
  /// Why it cannot compute the op, if that is so whatever follows it; null: it always can.
  std::optional<Reason> (*refuse)(mlir::Operation *op, const LoweringContext &context);
  /// The nanoseconds it is expected to take, by `nanoseconds`; null where there is no other way.
  double (*cost)(mlir::Operation *op, const LoweringContext &context);
  LoweringResult (*lower)(mlir::Operation *op, const LoweringContext &context);
};

/// What computes an op.
struct WayChoice {
  /// Null when no way can.
  const Way *way = nullptr;
  /// Why none can, or why what the tuning table says was ignored.
  std::optional<Reason> reason = {};
};

/// The way that the tuning table of the context names; else, of those that can, the one of least
/// cost, and of equal ones the first.
WayChoice chooseWay(std::span<const Way> ways, mlir::Operation *op, const LoweringContext &context);

/// How long one thread needs for a pass that does `work`: for its operations, or for its bytes, as
/// if they came from memory. The rates are of no machine: only how ways compare counts.
double nanoseconds(const StepCost &work, DType dtype, const Target &target);

} // namespace quern::native
