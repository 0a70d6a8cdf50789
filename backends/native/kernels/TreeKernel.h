//===- TreeKernel.h - walks through decision trees ------------------------===//
#pragma once

#include "backends/native/emit/SpecKernel.h"
#include "backends/native/kernels/PackTrees.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

namespace quern::native {

/// What shapes the code. Buffers: rows [rows, features], the block of packTrees, the
/// result [rows, targets].
struct TreeSpec {
  DType dtype = DType::Float32;
  /// Of the block's records.
  bool isWide = false;
  /// As commonTest has it; -1: each node's.
  int test = -1;
  /// Every leaf has one vote, at its own number.
  bool hasOneVote = false;
  /// There is one target.
  bool hasOneTarget = false;
  /// Features of rows that go side by side are copied to where they are neighbours.
  bool turnsRows = false;

  static constexpr std::string_view kFamily = "trees";
  QUERN_FIELDS(dtype, isWide, test, hasOneVote, hasOneTarget, turnsRows)
  std::string name() const { return "trees"; }
  void emit(KernelBuilder &kb) const;
};

/// What a comparison of feature and threshold must be for a walk to take the second way, of a
/// normalized test: what the test is not.
mlir::arith::CmpFPredicate secondWayTest(int test);

struct TreeProblem {
  int64_t rows = 0, features = 0, targets = 0, trees = 0;
  /// Features that the nodes ask for, and bytes of all records.
  int64_t usedFeatures = 0, recordBytes = 0;
};

LoweredStep makeTrees(const TreeSpec &spec, const TreeProblem &problem, int64_t threads,
                      StepBuffer rows, StepBuffer block, StepBuffer result);

} // namespace quern::native
