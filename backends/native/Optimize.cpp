//===- Optimize.cpp - running graph passes with Status for errors ---------===//
#include "backends/native/Optimize.h"

#include "ir/Types.h"
#include "runtime/lib/CpuCount.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;

CompileOptions native::allowWeightFolding(CompileOptions options, ModuleOp module) {
  options.limits.maxFoldedWork += passes::weightFoldingWork(module);
  return options;
}

Status native::runPasses(ModuleOp module, const Deadline &deadline,
                         const std::function<void(OpPassManager &)> &build) {
  std::string errors;
  StatusCode code = StatusCode::InvalidModel;
  ScopedDiagnosticHandler handler(module.getContext(), [&](Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() != DiagnosticSeverity::Error)
      return success();
    // A pass says so where it was not the model.
    if (auto *other =
            OpaqueLoc::getUnderlyingLocationOrNull<const StatusCode *>(diagnostic.getLocation()))
      code = *other;
    std::string node = nn::nodeName(diagnostic.getLocation());
    errors += (errors.empty() ? "" : "; ") + (node == "?" ? "" : "node '" + node + "': ") +
              diagnostic.str();
    return success();
  });
  PassManager pm(module.getContext());
  build(pm);
  bool succeeds = succeeded(pm.run(module));
  Status ended = deadline.check("optimising the graph");
  if (succeeds || ended.code() == StatusCode::Cancelled)
    return ended;
  if (deadline.passed()) // which a pass has noticed
    return resourceLimit(errors);
  return Status(code, errors.empty() ? "a graph pass failed" : errors);
}

passes::PipelineOptions native::pipelineOptions(const CompileOptions &options,
                                                const Target &target) {
  passes::PipelineOptions pipeline;
  pipeline.optLevel = options.optLevel;
  pipeline.block = target.channelBlock();
  pipeline.foldBudget = passes::makeFoldBudget(options.limits);
  pipeline.dumpDirectory = options.dumpPhasesTo;
  return pipeline;
}

Status native::optimize(ModuleOp module, const Target &target, const CompileOptions &options,
                        passes::Phase last) {
  passes::PipelineOptions pipeline = pipelineOptions(options, target);
  return runPasses(module, options.limits.deadline,
                   [&](OpPassManager &pm) { passes::buildGraphPipeline(pm, pipeline, last); });
}

Expected<std::vector<passes::OutlinedOp>>
native::simplifyAndOutline(ModuleOp module, const Target &target, const CompileOptions &options) {
  QUERN_TRY(optimize(module, target, options, passes::Phase::Simplified));
  return passes::outlineBodies(module);
}

Status native::layOutAndFuse(ModuleOp module, const Target &target, const CompileOptions &options) {
  passes::PipelineOptions pipeline = pipelineOptions(options, target);
  return runPasses(module, options.limits.deadline, [&](OpPassManager &pm) {
    passes::buildLayoutPipeline(pm, pipeline);
    passes::buildFusionPipeline(pm, pipeline);
  });
}

bool native::hasUnrankedValues(ModuleOp module) {
  auto isUnranked = [](Value v) { return isa<UnrankedTensorType>(v.getType()); };
  return module
      .walk([&](Operation *op) {
        bool found = llvm::any_of(op->getResults(), isUnranked);
        for (Region &region : op->getRegions())
          for (Block &block : region)
            found |= llvm::any_of(block.getArguments(), isUnranked);
        return found ? WalkResult::interrupt() : WalkResult::advance();
      })
      .wasInterrupted();
}

int native::threadsOf(const CompileOptions &options) {
  return options.compileThreads > 0 ? options.compileThreads : availableCpus();
}

std::shared_ptr<KernelCache> native::createKernelCache(const Target &target,
                                                       const CompileOptions &options) {
  std::string dump = options.dumpPhasesTo.empty() ? "" : options.dumpPhasesTo + "/kernels";
  return std::make_shared<KernelCache>(target, dump, options.compileThreads, options.keepBitcode);
}

Status native::compileKernels(const plan::UnlinkedPlan &plan, KernelCache &cache,
                              const Deadline &deadline) {
  std::vector<const KernelSpec *> kernels;
  for (const KernelSpec &kernel : plan.kernels)
    kernels.push_back(&kernel);
  return cache.compile(kernels, deadline);
}
