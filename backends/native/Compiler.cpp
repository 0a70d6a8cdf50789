//===- Compiler.cpp - compiling a graph in place --------------------------===//
//
// For ahead-of-time output, `check` and phases as text: the module belongs to the
// caller, and its groups may be split. The JIT is in JitCompiler.cpp.
//
//===----------------------------------------------------------------------===//
#include "backends/native/Compiler.h"
#include "ir/OutlinedOps.h"
#include "ir/Signature.h"

#include "backends/native/Optimize.h"
#include "backends/native/lowering/Lowering.h"

#include "llvm/Support/raw_ostream.h"

#include <fmt/format.h>
#include <map>

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::plan;

namespace {
/// A lowered graph with what its values are looked up in.
struct OwnedGraph {
  std::unique_ptr<OptimizedGraph> graph;
  LoweredGraph lowered;
  std::vector<passes::OutlinedOp> outlined;
};
} // namespace

/// Lowers for the sizes that types tell, splitting the groups that have no native code.
static Expected<OwnedGraph> lowerInPlace(ModuleOp module, const NativeLowering &lowering,
                                         const Limits &limits) {
  while (true) {
    OwnedGraph result;
    result.graph = std::make_unique<OptimizedGraph>(nn::findMain(module));
    ValueTable values(*result.graph);
    QUERN_TRY(values.inferSizes());
    QUERN_ASSIGN(result.lowered,
                 lowerGraph(*result.graph, GraphPart::wholeOf(result.graph->main()), lowering,
                            std::move(values), UnknownSizes::Reference, limits));
    if (result.lowered.refusedGroups.empty())
      return std::move(result);
    for (Operation *group : result.lowered.refusedGroups)
      splitGroup(group);
  }
}

/// All graph passes, then every op as steps.
static Expected<OwnedGraph> lowerModule(ModuleOp module, const Target &target,
                                        const CompileOptions &options) {
  QUERN_ASSIGN(std::vector<passes::OutlinedOp> outlined,
               simplifyAndOutline(module, target, options));
  QUERN_TRY(layOutAndFuse(module, target, options));
  QUERN_ASSIGN(OwnedGraph graph,
               lowerInPlace(module, NativeLowering(target, threadsOf(options)), options.limits));
  graph.outlined = std::move(outlined);
  return std::move(graph);
}

Expected<CompiledGraph> native::compileGraph(ModuleOp module, const CompileOptions &given) {
  CompileOptions options = allowWeightFolding(given, module);
  QUERN_ASSIGN(Target target, resolveTarget(options.targetCpu, options.targetTriple));
  CompiledGraph result;
  result.kernels = createKernelCache(target, options);
  QUERN_ASSIGN(OwnedGraph graph, lowerModule(module, target, options));
  PackedWeights weights(options.compileThreads);
  QUERN_ASSIGN(result.plan,
               buildPlan(nn::findMain(module), graph.outlined, graph.lowered,
                         NativeLowering(target, threadsOf(options)), weights, options.limits));
  QUERN_TRY(compileKernels(result.plan, *result.kernels, options.limits.deadline));
  return std::move(result);
}

/// Appends the ops of a graph, each before those of its bodies.
static Status checkOps(ModuleOp module, const Target &target, const CompileOptions &options,
                       std::vector<OpSupport> &ops) {
  QUERN_ASSIGN(OwnedGraph graph, lowerModule(module, target, options));
  for (const LoweredOp &lowered : graph.lowered.ops) {
    ops.push_back({lowered.nodes, graph.graph->nodeOf(lowered.op).opName, lowered.refusal.empty(),
                   lowered.needsSizes, lowered.refusal});
    auto call = dyn_cast<nn::RunBodiesOp>(lowered.op);
    if (!call)
      continue;
    for (nn::OwnedModule &body : graph.outlined[static_cast<size_t>(call.getNumber())].bodies)
      QUERN_TRY(checkOps(*body.module, target, options, ops));
  }
  return Status::ok();
}

Expected<std::vector<OpSupport>> native::checkGraph(ModuleOp module, const CompileOptions &given) {
  CompileOptions options = allowWeightFolding(given, module);
  QUERN_ASSIGN(Target target, resolveTarget(options.targetCpu, options.targetTriple));
  std::vector<OpSupport> ops;
  QUERN_TRY(checkOps(module, target, options, ops));
  return ops;
}

Expected<std::string> native::compileToPhase(ModuleOp module, passes::Phase phase,
                                             const CompileOptions &given) {
  CompileOptions options = allowWeightFolding(given, module);
  QUERN_ASSIGN(Target target, resolveTarget(options.targetCpu, options.targetTriple));
  std::string text;
  llvm::raw_string_ostream stream(text);
  if (phase <= passes::Phase::Fused) {
    QUERN_TRY(optimize(module, target, options, phase));
    module.print(stream, OpPrintingFlags().enableDebugInfo(true, /*prettyForm=*/true));
    return text;
  }
  QUERN_ASSIGN(OwnedGraph graph, lowerModule(module, target, options));
  std::map<std::string, const KernelSpec *> kernels;
  for (const LoweredOp &op : graph.lowered.ops)
    for (const LoweredStep &step : op.steps)
      kernels.emplace(step.kernel.key, &step.kernel);
  size_t number = 0;
  for (auto &[key, spec] : kernels) {
    QUERN_TRY(options.limits.deadline.check("compiling").withContext("kernel " + spec->name));
    KernelBuilder builder(target, fmt::format("k{}_{}", number++, spec->name));
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
