//===- JitCompiler.cpp - a graph as an executable of this process ---------===//
#include "backends/native/CompilerParts.h"
#include "backends/native/target/CpuFeatures.h"
#include "backends/plan/OnDemandPlanner.h"
#include "ir/Signature.h"
#include "passes/OptimizeGraph.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;
using plan::GraphFamily;
using plan::OnDemandPlanner;

Expected<std::shared_ptr<Executable>> native::compileForJit(nn::OwnedModule owned,
                                                            const NativeOptions &given) {
  std::vector<PortSignature> inputs = nn::inputSignature(nn::findMain(*owned.module));
  NativeOptions options = given;
  passes::shareFolding(options, *owned.module);
  QUERN_ASSIGN(Target target, resolveTarget(options.targetCpu, options.targetTriple));
  // Linking would refuse it too, after the long work.
  QUERN_TRY(checkRunsHere(target));
  QUERN_ASSIGN(std::shared_ptr<GraphFamily> family,
               GraphFamily::create(std::move(owned), pipelineOptions(options, target)));
  std::vector<PortSignature> outputs = nn::outputSignature(family->main());
  auto kernels = options.kernels
                     ? options.kernels
                     : std::make_shared<LinkedKernels>(createKernelStore(target, options));
  std::shared_ptr<OnDemandPlanner> planner =
      OnDemandPlanner::create(std::move(family), createInstantiator(target, options),
                              std::move(kernels), Executable::kDefaultPlanCacheBytes);
  auto executable = std::make_shared<Executable>(
      std::move(inputs), std::move(outputs),
      [planner](std::span<const Tensor::Dims> dims, const Deadline &deadline) {
        return planner->plan(dims, deadline);
      },
      Executable::kDefaultPlanCacheBytes,
      [planner](std::span<const Tensor::Dims> dims, const Deadline &deadline) {
        return planner->planBodies(dims, deadline);
      },
      options.precision, options.choice);

  std::vector<Tensor::Dims> dims;
  for (const PortSignature &port : executable->inputs())
    if (auto sizes = port.shape.sizes(); sizes && port.ranked)
      dims.push_back(*sizes);
  if (dims.size() == executable->inputs().size()) {
    QUERN_TRY(executable->planFor(dims, options.limits.deadline));
  }
  return executable;
}
