//===- AotModel.h - what the parts of an artefact are made from -----------===//
#pragma once

#include "backends/native/RuntimeCall.h"
#include "backends/native/aot/AotWeightsFile.h"
#include "quern/ListedSize.h"
#include "quern/PortSignature.h"
#include "quern/Precision.h"
#include "runtime/plan/Plan.h"

#include <optional>
#include <string>
#include <vector>

namespace quern::native {

/// A plan that becomes a function, and those that its steps run.
struct AotPlan {
  /// Null: a branch that breaks a rule for its sizes, and taking it is an error; or a body
  /// that never runs.
  const Plan *plan = nullptr;
  /// The kernel symbol of each step.
  std::vector<std::string> kernelSymbols;
  /// For each step its branches, or its body; may end with the last step that has any.
  std::vector<std::vector<AotPlan>> bodies = {};
  /// For each step its call of a reference kernel, if it is one; may end early as well.
  std::vector<RuntimeCall> runtimeCalls = {};

  std::span<const AotPlan> bodiesOf(size_t step) const {
    return step < bodies.size() ? bodies[step] : std::span<const AotPlan>();
  }
};

/// The memory of a run of the plan: its arena, and behind it for the step at hand that
/// of the step and of the plan that this runs.
CheckedSize frameBytes(const AotPlan &plan);
/// The offset in it of what belongs to the step at hand.
int64_t stepOffset(const AotPlan &plan);
/// The tensors that the code of all plans reads.
std::vector<Tensor> usedWeights(std::span<const AotPlan> plans);
/// Whether any step calls a reference kernel.
bool callsRuntime(const AotPlan &plan);
/// Whether any of these draws random numbers.
bool drawsAtRandom(const AotPlan &plan);

/// What users of an artefact see, whatever CPU it runs on.
struct AotInterface {
  /// The model's own.
  std::string name;
  /// With symbols in place of `sizes`.
  std::vector<PortSignature> inputs = {}, outputs = {};
  /// The dimensions that runs take the sizes of.
  std::vector<ListedSize> sizes = {};
  /// What it was asked to compute in.
  Precision precision = Precision::Float32;
  /// Of Precision::Auto what was chosen, as JSON; else empty.
  std::string choice = {};
  /// How often the bodies of all loops may run in one run of the model.
  int64_t maxIterations = 0;
};

/// What distinguishes the public functions of models.
struct ModelFunctions {
  /// Those that run it take sizes first.
  bool takeSizes = false;
  /// There is <prefix>_use_weights.
  bool useWeights = false;
  /// There is <prefix>_use_random.
  bool useRandom = false;
};

/// Plans of kernel steps, branches and loops, ready to be written.
struct AotModel {
  /// One for each combination of the sizes, in the order of combineSizes.
  std::vector<AotPlan> plans;
  AotInterface interface;
  WeightLayout weights;
  /// Of all symbols of the artefact; a C identifier.
  std::string prefix;
  /// What the kernels are compiled for.
  Target target;
  /// The instruction sets they may use, as LLVM's subtarget features.
  std::vector<std::string> cpuFeatures;
  /// Where the weights are when they are no part of the program.
  std::optional<WeightsPart> inFile = {};

  /// Names in the public interface: <prefix>_run and so on.
  std::string symbol(const char *suffix) const { return prefix + "_" + suffix; }
  ModelFunctions functions() const;
};

/// Scratch memory of a worker, and the workspace of a run with so many: memory of the plan,
/// then the workers' scratch memory. Enough for all plans.
int64_t scratchBytes(std::span<const AotPlan> plans);
CheckedSize workspaceBytes(std::span<const AotPlan> plans, int workers = 1);
/// Where scratch memory starts in a run of the plan.
int64_t scratchOffset(const AotPlan &plan);

/// An input or output as users see it.
struct ArtifactPort {
  std::string name;
  DType dtype;
  /// -1 where plans differ.
  Tensor::Dims dims;
  /// For each of these the symbol, or expression over symbols, if there is one; else empty.
  std::vector<std::string> dimNames;
  /// Of the largest.
  int64_t bytes = 0;
  /// As PlanPort::updates, of all plans.
  std::optional<uint32_t> updates = {};
};
struct ArtifactPorts {
  std::vector<ArtifactPort> inputs, outputs;
};
/// What the ports of all these plans have in common.
ArtifactPorts artifactPorts(std::span<const AotPlan> plans, const AotInterface &interface);

/// The bytes of a port's tensor.
inline int64_t portBytes(const PlanPort &port) {
  int64_t bytes = dtypeBytes(port.dtype);
  for (int64_t dim : port.dims)
    bytes *= dim;
  return bytes;
}

} // namespace quern::native
