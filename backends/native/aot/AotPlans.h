//===- AotPlans.h - the plans that become code ----------------------------===//
#pragma once

#include "backends/native/Compiler.h"
#include "backends/plan/PlanTree.h"

namespace quern::native {

/// The dims of each input for which a plan is made, and what they are called in messages, if
/// anything.
struct PlannedSizes {
  std::vector<Tensor::Dims> inputDims;
  std::string name;
};

/// Plans of one graph, not linked, which share kernels and packed weights.
struct CompiledPlans {
  std::shared_ptr<KernelStore> kernels;
  std::vector<plan::PlanTree> plans;
  /// With the types that passes have found.
  std::vector<PortSignature> outputs;
};

/// All graph passes on a copy of `module`, a plan for each of `sizes`, or without any the one for
/// the sizes that types tell, which should be static; and the kernels.
Expected<CompiledPlans> compilePlans(mlir::ModuleOp module, const NativeOptions &options,
                                     std::span<const PlannedSizes> sizes = {});

} // namespace quern::native
