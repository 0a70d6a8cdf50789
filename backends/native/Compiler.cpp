//===- Compiler.cpp - from an imported graph to something that runs -------===//
#include "backends/native/Compiler.h"

#include "backends/native/codegen/CpuFeatures.h"
#include "backends/native/lowering/Lowering.h"
#include "ir/FusionGroup.h"
#include "ir/Signature.h"
#include "ir/Types.h"
#include "passes/SpecializeInputs.h"
#include "runtime/lib/CpuCount.h"

#include "mlir/Pass/PassManager.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::plan;

/// Runs the pipelines that `build` adds; diagnostics become the Status.
static Status runPasses(ModuleOp module, const Deadline &deadline,
                        const std::function<void(OpPassManager &)> &build) {
  std::string errors;
  ScopedDiagnosticHandler handler(module.getContext(), [&](Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() != DiagnosticSeverity::Error)
      return success();
    std::string node = nn::nodeName(diagnostic.getLocation());
    errors += (errors.empty() ? "" : "; ") + (node == "?" ? "" : "node '" + node + "': ") +
              diagnostic.str();
    return success();
  });
  PassManager pm(module.getContext());
  build(pm);
  if (succeeded(pm.run(module)))
    return deadline.check("optimising the graph");
  if (deadline.passed()) // which a pass has noticed
    return resourceLimit(errors);
  return invalidModel(errors.empty() ? "a graph pass failed" : errors);
}

static passes::PipelineOptions pipelineOptions(const CompileOptions &options,
                                               const Target &target) {
  passes::PipelineOptions result;
  result.optLevel = options.optLevel;
  result.block = target.channelBlock();
  result.foldBudget = passes::makeFoldBudget(options.limits);
  result.dumpDirectory = options.dumpPhasesTo;
  return result;
}

/// The options with the work that folding the model's own weights may take.
static CompileOptions allowWeightFolding(CompileOptions options, ModuleOp module) {
  options.limits.maxFoldedWork += passes::weightFoldingWork(module);
  return options;
}

static std::shared_ptr<KernelCache> createCache(const Target &target,
                                                const CompileOptions &options) {
  std::string dump = options.dumpPhasesTo.empty() ? "" : options.dumpPhasesTo + "/kernels";
  return std::make_shared<KernelCache>(target, dump, options.compileThreads);
}

static int threadsOf(const CompileOptions &options) {
  return options.compileThreads > 0 ? options.compileThreads : availableCpus();
}

/// All graph passes, then every op as steps.
static Expected<LoweredGraph> lowerModule(ModuleOp module, const Target &target,
                                          const CompileOptions &options) {
  QUERN_TRY(runPasses(module, options.limits.deadline, [&](OpPassManager &pm) {
    passes::buildGraphPipeline(pm, pipelineOptions(options, target));
  }));
  NativeLowering lowering(target, threadsOf(options));
  return lowerGraph(passes::findMain(module), lowering, ValueTable(), options.limits);
}

/// Phases Simplified to Kernels of a module with the wanted input types.
static Expected<UnlinkedPlan> planModule(ModuleOp module, KernelCache &cache,
                                         PackedWeights &weights, const CompileOptions &options) {
  QUERN_ASSIGN(LoweredGraph graph, lowerModule(module, cache.target(), options));
  NativeLowering lowering(cache.target(), threadsOf(options));
  QUERN_ASSIGN(UnlinkedPlan plan,
               buildPlan(passes::findMain(module), graph, lowering, weights, options.limits));
  std::vector<const KernelSpec *> kernels;
  for (const KernelSpec &kernel : plan.kernels)
    kernels.push_back(&kernel);
  QUERN_TRY(cache.compile(kernels, options.limits.deadline));
  return std::move(plan);
}

/// Sets the functions of all kernel steps.
static Expected<std::shared_ptr<const Plan>> linkPlan(UnlinkedPlan plan, LinkedKernels &kernels) {
  for (size_t i = 0; i < plan.plan.steps.size(); ++i)
    if (auto *work = std::get_if<KernelStep>(&plan.plan.steps[i].work)) {
      QUERN_ASSIGN(work->function, kernels.link(plan.kernelKeys[i]));
    }
  plan.plan.keepAlive.push_back(kernels.jit());
  return std::make_shared<const Plan>(std::move(plan.plan));
}

Expected<CompiledGraph> native::compileGraph(ModuleOp module, const CompileOptions &given) {
  CompileOptions options = allowWeightFolding(given, module);
  QUERN_ASSIGN(Target target, resolveTarget(options.targetCpu));
  CompiledGraph result;
  result.kernels = createCache(target, options);
  PackedWeights weights(options.compileThreads);
  QUERN_ASSIGN(result.plan, planModule(module, *result.kernels, weights, options));
  return std::move(result);
}

Expected<std::vector<OpSupport>> native::checkGraph(ModuleOp module, const CompileOptions &given) {
  CompileOptions options = allowWeightFolding(given, module);
  QUERN_ASSIGN(Target target, resolveTarget(options.targetCpu));
  QUERN_ASSIGN(LoweredGraph graph, lowerModule(module, target, options));
  std::vector<OpSupport> ops;
  for (const LoweredOp &lowered : graph.ops) {
    Operation *root = nn::groupRoot(lowered.op);
    std::string name = (root ? root : lowered.op)->getName().getStringRef().str();
    ops.push_back(
        {lowered.nodes, name, lowered.refusal.empty(), lowered.needsSizes, lowered.refusal});
  }
  return ops;
}

Expected<std::shared_ptr<Executable>> native::compileForJit(nn::OwnedModule owned,
                                                            const CompileOptions &given) {
  CompileOptions options = allowWeightFolding(given, *owned.module);
  QUERN_ASSIGN(Target target, resolveTarget(options.targetCpu));
  // Linking would refuse it too, after the long work.
  QUERN_TRY(checkRunsHere(target));
  std::shared_ptr<LinkedKernels> kernels =
      options.kernels ? options.kernels
                      : std::make_shared<LinkedKernels>(createCache(target, options));
  auto weights = std::make_shared<PackedWeights>(options.compileThreads);
  // What does not depend on input shapes is done once, not at every new shape.
  QUERN_TRY(runPasses(*owned.module, options.limits.deadline, [&](OpPassManager &pm) {
    passes::PipelineOptions once = pipelineOptions(options, target);
    once.dumpDirectory.clear();
    passes::buildSimplifyPipeline(pm, once);
  }));
  func::FuncOp main = passes::findMain(*owned.module);
  std::vector<PortSignature> inputs = nn::inputSignature(main), outputs = nn::outputSignature(main);

  auto source = std::make_shared<nn::OwnedModule>(std::move(owned));
  auto planner = [source, kernels, weights,
                  options](std::span<const Tensor::Dims> dims,
                           const Deadline &deadline) -> Expected<std::shared_ptr<const Plan>> {
    OwningOpRef<ModuleOp> copy(source->module->clone());
    func::FuncOp entry = passes::findMain(*copy);
    passes::InputSizes sizes;
    for (size_t i = 0; i < dims.size(); ++i)
      sizes.shapes[nn::inputName(entry, i)] = dims[i];
    QUERN_TRY(passes::specializeInputs(entry, sizes));
    CompileOptions current = options;
    current.limits.deadline = deadline;
    QUERN_ASSIGN(UnlinkedPlan plan, planModule(*copy, kernels->cache(), *weights, current));
    return linkPlan(std::move(plan), *kernels);
  };
  auto executable =
      std::make_shared<Executable>(std::move(inputs), std::move(outputs), std::move(planner));

  std::vector<Tensor::Dims> dims;
  for (const PortSignature &port : executable->inputs())
    if (auto sizes = port.shape.sizes(); sizes && port.ranked)
      dims.push_back(*sizes);
  if (dims.size() == executable->inputs().size()) {
    auto plan = executable->planFor(dims, options.limits.deadline);
    if (!plan)
      return plan.status();
  }
  return executable;
}

Expected<std::string> native::compileToPhase(ModuleOp module, passes::Phase phase,
                                             const CompileOptions &given) {
  CompileOptions options = allowWeightFolding(given, module);
  QUERN_ASSIGN(Target target, resolveTarget(options.targetCpu));
  std::string text;
  llvm::raw_string_ostream stream(text);
  if (phase <= passes::Phase::Fused) {
    QUERN_TRY(runPasses(module, options.limits.deadline, [&](OpPassManager &pm) {
      passes::buildGraphPipeline(pm, pipelineOptions(options, target), phase);
    }));
    module.print(stream, OpPrintingFlags().enableDebugInfo(true, /*prettyForm=*/true));
    return text;
  }
  QUERN_ASSIGN(LoweredGraph graph, lowerModule(module, target, options));
  std::map<std::string, const KernelSpec *> kernels;
  for (const LoweredOp &op : graph.ops)
    for (const LoweredStep &step : op.steps)
      kernels.emplace(step.kernel.key, &step.kernel);
  size_t number = 0;
  for (auto &[key, spec] : kernels) {
    QUERN_TRY(options.limits.deadline.check("compiling").withContext("kernel " + spec->name));
    KernelBuilder builder(target, "k" + std::to_string(number++) + "_" + spec->name);
    spec->emit(builder);
    KernelBuilder::Module kernel = builder.finish();
    if (phase == passes::Phase::Object) {
      std::string assembly;
      auto object = compileKernel(std::move(kernel), target, &assembly);
      if (!object)
        return object.status();
      stream << assembly;
      continue;
    }
    if (phase == passes::Phase::Llvm)
      QUERN_TRY(lowerToLlvmDialect(*kernel.module));
    kernel.module->print(stream);
    stream << "\n";
  }
  return text;
}
