//===- Compiler.cpp - compiling a graph in place --------------------------===//
//
// For `check` and phases as text: the module belongs to the
// caller, and its groups may be split. The JIT is in JitCompiler.cpp.
//
//===----------------------------------------------------------------------===//
#include "backends/native/Compiler.h"

#include "backends/native/GraphTree.h"
#include "backends/native/Optimize.h"
#include "ir/Signature.h"

#include "llvm/Support/raw_ostream.h"

#include <fmt/format.h>
#include <map>

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::plan;

/// All graph passes, then every op as steps.
static Expected<std::unique_ptr<GraphTree>> lowerModule(ModuleOp module, const Target &target,
                                                        const NativeOptions &options) {
  QUERN_ASSIGN(std::unique_ptr<GraphTree> tree, optimizeTree(module, target, options));
  QUERN_TRY(lowerTree(*tree, NativeLowering(target, threadsOf(options)), options.limits));
  return tree;
}

/// Appends the ops of a graph, each before those of its bodies.
static void addOps(const GraphTree &tree, std::vector<OpSupport> &ops) {
  for (const LoweredOp &lowered : tree.lowered.ops) {
    ops.push_back({lowered.nodes, tree.graph->nodeOf(lowered.op).opName, lowered.reason});
    if (auto call = dyn_cast<nn::RunBodiesOp>(lowered.op))
      for (const auto &body : tree.bodies[static_cast<size_t>(call.getNumber())])
        addOps(*body, ops);
  }
}

Expected<std::vector<OpSupport>> native::checkGraph(ModuleOp module, const NativeOptions &given) {
  NativeOptions options = shareFolding(given, module);
  QUERN_ASSIGN(Target target, resolveTarget(options.targetCpu, options.targetTriple));
  QUERN_ASSIGN(std::unique_ptr<GraphTree> tree, lowerModule(module, target, options));
  std::vector<OpSupport> ops;
  addOps(*tree, ops);
  return ops;
}

Expected<std::string> native::compileToPhase(ModuleOp module, passes::Phase phase,
                                             const NativeOptions &given) {
  NativeOptions options = shareFolding(given, module);
  QUERN_ASSIGN(Target target, resolveTarget(options.targetCpu, options.targetTriple));
  std::string text;
  llvm::raw_string_ostream stream(text);
  if (phase <= passes::Phase::Fused) {
    QUERN_TRY(optimize(module, target, options, phase));
    passes::printPhase(module, stream);
    return text;
  }
  QUERN_ASSIGN(std::unique_ptr<GraphTree> tree, lowerModule(module, target, options));
  std::map<std::string, const KernelSpec *> kernels;
  for (const LoweredOp &op : tree->lowered.ops)
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
