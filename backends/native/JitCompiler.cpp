//===- JitCompiler.cpp - a graph as an executable of this process ---------===//
#include "backends/native/JitPlanner.h"
#include "backends/native/Optimize.h"
#include "backends/native/target/CpuFeatures.h"
#include "ir/Signature.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;

Expected<std::shared_ptr<Executable>> native::compileForJit(nn::OwnedModule owned,
                                                            const NativeOptions &given) {
  func::FuncOp main = nn::findMain(*owned.module);
  std::vector<PortSignature> inputs = nn::inputSignature(main);
  ModuleOp module = *owned.module;
  NativeOptions options = shareFolding(given, module);
  QUERN_ASSIGN(Target target, resolveTarget(options.targetCpu, options.targetTriple));
  // Linking would refuse it too, after the long work.
  QUERN_TRY(checkRunsHere(target));
  std::shared_ptr<MLIRContext> context = owned.context;
  QUERN_ASSIGN(std::shared_ptr<JitPlanner> planner,
               JitPlanner::create(std::move(owned), std::make_shared<JitResources>(target, options),
                                  options));
  nn::freezeContext(*context);
  std::vector<PortSignature> outputs = nn::outputSignature(nn::findMain(module));
  auto executable =
      std::make_shared<Executable>(std::move(inputs), std::move(outputs),
                                   [planner](JitPlanner::InputDims dims, const Deadline &deadline) {
                                     return planner->plan(dims, deadline);
                                   });

  std::vector<Tensor::Dims> dims;
  for (const PortSignature &port : executable->inputs())
    if (auto sizes = port.shape.sizes(); sizes && port.ranked)
      dims.push_back(*sizes);
  if (dims.size() == executable->inputs().size()) {
    QUERN_TRY(executable->planFor(dims, options.limits.deadline));
  }
  return executable;
}
