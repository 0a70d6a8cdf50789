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
  /// The nanoseconds it is expected to take in one thread; null where there is no other way.
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

/// How long one thread needs for a pass that does `work` as well as a kernel can: for its
/// operations, or for its bytes, as if they came from memory.
double nanoseconds(const StepCost &work, DType dtype, const Target &target);

/// How long one thread needs for `steps`, which do `problem` and read so many bytes of weights.
double costOfSteps(const LoweredSteps &steps, const StepCost &problem, double weightBytes,
                   const LoweringContext &context);
/// How long it waits for so many bytes of weights, which a run reads after all others.
double nanosecondsForWeights(double bytes, const LoweringContext &context);

} // namespace quern::native
