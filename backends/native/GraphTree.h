//===- GraphTree.h - a graph compiled in place, with its bodies -----------===//
#pragma once

#include "backends/native/Compiler.h"
#include "backends/native/RuntimeCall.h"
#include "backends/native/lowering/Lowering.h"
#include "backends/plan/BodySizes.h"

#include <memory>
#include <vector>

namespace quern::native {

/// A graph that all passes have run on, with those of the bodies in it, and what they
/// are lowered to.
struct GraphTree {
  mlir::ModuleOp module;
  std::vector<passes::OutlinedOp> outlined;
  /// The bodies of each of `outlined`.
  std::vector<std::vector<std::unique_ptr<GraphTree>>> bodies;
  std::unique_ptr<plan::OptimizedGraph> graph;
  /// The same for whoever looks through bodies.
  plan::BodyTree sizes;
  plan::LoweredGraph lowered;
  /// Why it cannot be lowered: a branch that breaks a rule for its sizes.
  Status broken;
};

/// A plan that is not linked, and those that its steps run.
struct CompiledPlan {
  plan::UnlinkedPlan plan;
  /// For each step its branches, or its body.
  std::vector<std::vector<CompiledPlan>> bodies;
  /// For each step its call of a reference kernel, if it is one.
  std::vector<RuntimeCall> runtimeCalls = {};
  /// Why there is none: a branch that breaks a rule for its sizes.
  Status broken;
};

/// Runs all graph passes on `module`, in place, which outlives the tree.
Expected<std::unique_ptr<GraphTree>> optimizeTree(mlir::ModuleOp module, const Target &target,
                                                  const NativeOptions &options);

/// Lowers the graph for the sizes that types tell, or for these dims of its inputs, and the
/// bodies that it runs for those of their operands. Groups that have no native code are
/// split, for all sizes.
Status lowerTree(GraphTree &tree, const NativeLowering &lowering, const Limits &limits,
                 std::span<const Tensor::Dims> inputDims = {});

/// The dims of each input for which a plan is made, and what they are called in messages, if
/// anything.
struct PlannedSizes {
  std::vector<Tensor::Dims> inputDims;
  std::string name;
};
/// Plans of one graph, not linked, which share kernels and packed weights.
struct CompiledPlans {
  std::shared_ptr<KernelCache> kernels;
  std::vector<CompiledPlan> plans;
};
/// All of the above: a plan for each of `sizes`, or without any the one for the sizes that types
/// tell, which should be static.
Expected<CompiledPlans> compilePlans(mlir::ModuleOp module, const NativeOptions &options,
                                     std::span<const PlannedSizes> sizes = {});

} // namespace quern::native
