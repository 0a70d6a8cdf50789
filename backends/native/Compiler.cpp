//===- Compiler.cpp - what the compiler says of a graph -------------------===//
//
// For `check`, and phases as text. The JIT is in JitCompiler.cpp.
//
//===----------------------------------------------------------------------===//
#include "backends/native/Compiler.h"

#include "backends/native/CompilerParts.h"
#include "backends/native/emit/SpecKernel.h"
#include "backends/plan/Explain.h"
#include "passes/OptimizeGraph.h"

#include "llvm/Support/raw_ostream.h"

#include <map>

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::plan;

namespace {
/// A copy of a graph, ready to be lowered.
struct CheckedGraph {
  NativeOptions options;
  Target target;
  std::shared_ptr<GraphFamily> family;
  std::shared_ptr<Instantiator> instantiator;

  static Expected<CheckedGraph> create(ModuleOp module, const NativeOptions &given);
  Expected<LoweredTree> lower(std::span<const KnownValue> arguments, UnknownSizes unknown) {
    return lowerTree(*family, arguments, unknown, *instantiator, options.limits.deadline);
  }
};
} // namespace

Expected<CheckedGraph> CheckedGraph::create(ModuleOp module, const NativeOptions &given) {
  CheckedGraph graph{given, {}, nullptr, nullptr};
  NativeOptions &options = graph.options;
  passes::shareFolding(options, module);
  QUERN_ASSIGN(graph.target, resolveTarget(options.targetCpu, options.targetTriple));
  QUERN_ASSIGN(nn::OwnedModule copy, nn::copyModule(module));
  QUERN_ASSIGN(graph.family,
               GraphFamily::create(std::move(copy), pipelineOptions(options, graph.target)));
  graph.instantiator = createInstantiator(graph.target, options);
  return graph;
}

//===----------------------------------------------------------------------===//
// What runs as native code
//===----------------------------------------------------------------------===//

Expected<Explanation> native::explainGraph(ModuleOp module, const NativeOptions &given) {
  QUERN_ASSIGN(CheckedGraph graph, CheckedGraph::create(module, given));
  QUERN_ASSIGN(LoweredTree tree,
               graph.lower(knownSizes(graph.family->main(), {}), UnknownSizes::Reference));
  return explain(tree);
}

Expected<Explanation> native::explainPlan(ModuleOp module, const NativeOptions &given,
                                          std::span<const Tensor::Dims> inputDims) {
  QUERN_ASSIGN(CheckedGraph graph, CheckedGraph::create(module, given));
  QUERN_ASSIGN(LoweredTree lowered,
               graph.lower(knownSizes(graph.family->main(), inputDims), UnknownSizes::NextStage));
  std::vector<Refusal> refusals;
  QUERN_ASSIGN(UnlinkedPlan unlinked,
               graph.instantiator->build(*graph.family, lowered.instance,
                                         graph.options.limits.deadline, &refusals));
  return explain(lowered.instance, unlinked, refusals);
}

//===----------------------------------------------------------------------===//
// Phases
//===----------------------------------------------------------------------===//

Expected<std::string> native::compileToPhase(ModuleOp module, passes::Phase phase,
                                             const NativeOptions &given) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  if (phase <= passes::Phase::Fused) {
    NativeOptions options = given;
    passes::shareFolding(options, module);
    QUERN_ASSIGN(Target target, resolveTarget(options.targetCpu, options.targetTriple));
    QUERN_TRY(passes::optimize(module, pipelineOptions(options, target), phase));
    passes::printPhase(module, stream);
    return text;
  }
  QUERN_ASSIGN(CheckedGraph graph, CheckedGraph::create(module, given));
  QUERN_ASSIGN(LoweredTree tree,
               graph.lower(knownSizes(graph.family->main(), {}), UnknownSizes::Reference));
  const Target &target = graph.target;
  std::map<std::string, const KernelSpec *> kernels;
  for (const LoweredOp &op : tree.instance.lowered.ops)
    for (const LoweredStep &step : op.steps)
      kernels.emplace(step.kernel.key, &step.kernel);
  KernelSurroundings surroundings(target);
  for (auto &[key, spec] : kernels) {
    QUERN_TRY(given.limits.deadline.check("compiling").withContext("kernel " + spec->name));
    std::string what = spec->name + ": " + spec->source->text();
    stream << (phase == passes::Phase::Object ? "/* " + what + " */\n" : "// " + what + "\n");
    KernelBuilder builder(target, KernelKey(surroundings, key).symbol());
    emitKernel(*spec, builder);
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
      QUERN_TRY(lowerToLlvmDialect(*kernel.module, target));
    kernel.module->print(stream);
    stream << "\n";
  }
  return text;
}
