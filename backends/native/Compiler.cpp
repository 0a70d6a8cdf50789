//===- Compiler.cpp - what the compiler says of a graph -------------------===//
//
// For `check`, and phases as text. The JIT is in JitCompiler.cpp.
//
//===----------------------------------------------------------------------===//
#include "backends/native/Compiler.h"

#include "backends/native/CompilerParts.h"
#include "backends/native/codegen/AssemblyLoops.h"
#include "backends/native/emit/SpecKernel.h"
#include "backends/plan/Explain.h"
#include "passes/OptimizeGraph.h"

#include "llvm/Support/raw_ostream.h"

#include <fmt/format.h>

#include <map>
#include <set>

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

namespace {
/// A plan without code, and what there is to say of it.
struct CheckedPlan {
  Target target;
  UnlinkedPlan plan;
  Explanation explanation;
};
} // namespace

static Expected<CheckedPlan> checkPlan(ModuleOp module, const NativeOptions &given,
                                       std::span<const Tensor::Dims> inputDims) {
  QUERN_ASSIGN(CheckedGraph graph, CheckedGraph::create(module, given));
  QUERN_ASSIGN(LoweredTree lowered,
               graph.lower(knownSizes(graph.family->main(), inputDims), UnknownSizes::NextStage));
  std::vector<Refusal> refusals;
  QUERN_ASSIGN(UnlinkedPlan unlinked,
               graph.instantiator->build(*graph.family, lowered.instance,
                                         graph.options.limits.deadline, &refusals));
  Explanation explanation = explain(lowered.instance, unlinked, refusals);
  return CheckedPlan{graph.target, std::move(unlinked), std::move(explanation)};
}

Expected<Explanation> native::explainPlan(ModuleOp module, const NativeOptions &given,
                                          std::span<const Tensor::Dims> inputDims) {
  QUERN_ASSIGN(CheckedPlan checked, checkPlan(module, given, inputDims));
  return std::move(checked.explanation);
}

//===----------------------------------------------------------------------===//
// The code of a node
//===----------------------------------------------------------------------===//

static Expected<std::string> assemblyOf(const KernelSpec &spec, const Target &target) {
  KernelBuilder builder(target, KernelKey(KernelSurroundings(target), spec.key).symbol());
  emitKernel(spec, builder);
  std::string assembly;
  auto object = compileKernel(builder.finish(), target, &assembly);
  if (!object)
    return object.status().withContext("kernel " + spec.name);
  return assembly;
}

/// The names of the steps that compute a node, or are called so.
static std::set<std::string> stepsOf(const std::string &node, const Explanation &explanation) {
  std::set<std::string> names;
  for (const ExplainedStep &step : explanation.steps)
    if (step.name == node || llvm::is_contained(step.nodes, node))
      names.insert(step.name);
  return names;
}

/// Why there is no kernel of a node.
static Status noKernel(const std::string &node, const Explanation &explanation) {
  for (const ExplainedNode &found : explanation.nodes)
    if (found.name == node && found.fate != ExplainedNode::Fate::Step)
      return usageError(fmt::format("node '{}' has no kernel: it is {}", node,
                                    found.fate == ExplainedNode::Fate::Body
                                        ? "in a branch or a body, which has plans of its own"
                                        : "there no more, or needs no code (" +
                                              std::string(fateName(found.fate)) + ")"));
  if (!stepsOf(node, explanation).empty())
    return usageError(fmt::format("node '{}' has no kernel: a reference kernel computes it", node));
  return usageError(fmt::format("there is no node '{}'; quern check --json lists them", node));
}

Expected<std::vector<KernelCode>> native::codeOfNode(ModuleOp module, const NativeOptions &given,
                                                     std::span<const Tensor::Dims> inputDims,
                                                     const std::string &node) {
  QUERN_ASSIGN(CheckedPlan checked, checkPlan(module, given, inputDims));
  std::set<std::string> names = stepsOf(node, checked.explanation);
  std::vector<KernelCode> codes;
  std::set<size_t> known;
  for (auto [step, origin] : llvm::zip_equal(checked.plan.plan.steps, checked.plan.steps)) {
    if (!origin.kernel || !names.count(step.nodes.str()) || !known.insert(*origin.kernel).second)
      continue;
    QUERN_TRY(given.limits.deadline.check("compiling"));
    const KernelSpec &spec = checked.plan.kernels[*origin.kernel];
    KernelCode code{.step = step.nodes, .kernel = spec.name, .parameters = spec.source->text()};
    QUERN_ASSIGN(code.assembly, assemblyOf(spec, checked.target));
    for (const AssemblyLoop &loop : innermostLoops(code.assembly))
      code.loops.push_back(loop.facts());
    codes.push_back(std::move(code));
  }
  if (codes.empty())
    return noKernel(node, checked.explanation);
  return codes;
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
    if (phase == passes::Phase::Object) {
      QUERN_ASSIGN(std::string assembly, assemblyOf(*spec, target));
      stream << assembly;
      continue;
    }
    KernelBuilder builder(target, KernelKey(surroundings, key).symbol());
    emitKernel(*spec, builder);
    KernelBuilder::Module kernel = builder.finish();
    if (phase == passes::Phase::Llvm)
      QUERN_TRY(lowerToLlvmDialect(*kernel.module, target));
    kernel.module->print(stream);
    stream << "\n";
  }
  return text;
}
