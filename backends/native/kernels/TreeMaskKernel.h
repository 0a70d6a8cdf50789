//===- TreeMaskKernel.h - leaves of decision trees by masks ---------------===//
#pragma once

#include "backends/native/emit/SpecKernel.h"
#include "backends/native/kernels/PackTreeMasks.h"
#include "backends/native/kernels/TreeKernel.h"

namespace quern::native {

/// What shapes the code. Buffers: rows [rows, features] of float32, the block of packTreeMasks, the
/// result [rows, 1].
struct TreeMaskSpec {
  /// TreeMasks::test and leaves.
  int test = 0;
  int64_t leaves = 32;
  int64_t words() const { return leaves / TreeMasks::kWordBits; }

  static constexpr std::string_view kFamily = "tree_masks";
  QUERN_FIELDS(test, leaves)
  std::string name() const { return "tree_masks" + std::to_string(leaves); }
  void emit(KernelBuilder &kb) const;
};

/// Of rows that have all features which nodes ask for.
LoweredStep makeTreeMasks(const TreeMaskSpec &spec, const TreeProblem &problem,
                          const TreeMasks &masks, int64_t threads, StepBuffer rows,
                          StepBuffer block, StepBuffer result);

} // namespace quern::native
