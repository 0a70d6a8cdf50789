//===- AotPlans.cpp - the plans that become code --------------------------===//
#include "backends/native/aot/AotPlans.h"

#include "backends/native/CompilerParts.h"
#include "ir/Signature.h"
#include "passes/OptimizeGraph.h"
#include "passes/SpecializeInputs.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::plan;

namespace {
class PlanCompiler {
public:
  PlanCompiler(const Target &target, const NativeOptions &options)
      : options(pipelineOptions(options, target)),
        instantiator(createInstantiator(target, options)),
        kernels(createKernelStore(target, options)) {}

  Expected<CompiledPlans> compile(ModuleOp module, std::span<const PlannedSizes> sizes);

private:
  Expected<PlanTree> plan(GraphFamily &family, std::span<const Tensor::Dims> inputDims);
  Expected<PlanTree> planSpecialized(ModuleOp module, const PlannedSizes &sizes, size_t number);

  passes::PipelineOptions options;
  std::shared_ptr<Instantiator> instantiator;
  std::shared_ptr<KernelStore> kernels;
};
} // namespace

/// With its kernels.
Expected<PlanTree> PlanCompiler::plan(GraphFamily &family,
                                      std::span<const Tensor::Dims> inputDims) {
  const Deadline &deadline = options.limits.deadline;
  QUERN_ASSIGN(LoweredTree lowered, lowerTree(family, knownSizes(family.main(), inputDims),
                                              UnknownSizes::Reference, *instantiator, deadline));
  QUERN_ASSIGN(PlanTree tree, buildTree(family, lowered, *instantiator, deadline));
  Status status;
  visitPlans(tree, [&](const UnlinkedPlan &plan) {
    if (status.isOk())
      status = compileKernels(plan, *kernels, deadline);
  });
  QUERN_TRY(status);
  return tree;
}

/// The plan of a copy of `module` in which the passes see these sizes, in bodies too.
Expected<PlanTree> PlanCompiler::planSpecialized(ModuleOp module, const PlannedSizes &sizes,
                                                 size_t number) {
  QUERN_ASSIGN(nn::OwnedModule copy, nn::copyModule(module));
  func::FuncOp main = nn::findMain(*copy.module);
  std::vector<std::optional<Tensor::Dims>> dims;
  for (const KnownValue &argument : knownSizes(main, sizes.inputDims))
    dims.push_back(argument.sizes);
  QUERN_TRY(passes::specializeInputs(main, dims));
  QUERN_ASSIGN(std::shared_ptr<GraphFamily> family,
               GraphFamily::create(std::move(copy), passes::optionsOfSizes(
                                                        options, number, options.limits.deadline)));
  return plan(*family, sizes.inputDims);
}

Expected<CompiledPlans> PlanCompiler::compile(ModuleOp module,
                                              std::span<const PlannedSizes> sizes) {
  CompiledPlans result{kernels, {}, {}};
  QUERN_ASSIGN(nn::OwnedModule copy, nn::copyModule(module));
  QUERN_ASSIGN(std::shared_ptr<GraphFamily> family, GraphFamily::create(std::move(copy), options));
  result.outputs = nn::outputSignature(family->main());
  if (sizes.empty()) {
    QUERN_ASSIGN(PlanTree tree, plan(*family, {}));
    result.plans.push_back(std::move(tree));
  }
  for (auto [number, each] : llvm::enumerate(sizes)) {
    auto tree =
        family->isGeneral() ? plan(*family, each.inputDims) : planSpecialized(module, each, number);
    if (!tree)
      return each.name.empty() ? tree.status() : tree.status().withContext(each.name);
    result.plans.push_back(tree.take());
  }
  return result;
}

Expected<CompiledPlans> native::compilePlans(ModuleOp module, const NativeOptions &given,
                                             std::span<const PlannedSizes> sizes) {
  NativeOptions options = given;
  passes::shareFolding(options, module);
  QUERN_ASSIGN(Target target, resolveTarget(options.targetCpu, options.targetTriple));
  return PlanCompiler(target, options).compile(module, sizes);
}
