//===- JitCompiler.cpp - plans for running in this process ----------------===//
//
// The graph passes run once, on symbolic sizes. For a set of input sizes a plan is
// instantiated from what they leave, which nobody changes any more, so that threads
// do it side by side.
//
// Two decisions may hold for some sizes only. A fusion group may have no native code
// as a whole: a copy of the graph in which its ops stand apart is kept then. And where
// even ranks are not known, passes have little to go by: they run once more for the
// sizes at hand.
//
//===----------------------------------------------------------------------===//
#include "backends/native/Compiler.h"

#include "backends/native/Optimize.h"
#include "backends/native/codegen/CpuFeatures.h"
#include "backends/native/lowering/Lowering.h"
#include "ir/Signature.h"
#include "passes/SpecializeInputs.h"

#include <list>
#include <mutex>

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::plan;

namespace {
using InputDims = std::span<const Tensor::Dims>;

/// A module that all passes have run on, and what is read of it.
class FrozenGraph {
public:
  explicit FrozenGraph(nn::OwnedModule &&owned)
      : owned(std::move(owned)), graph(nn::findMain(*this->owned.module)) {}

  const OptimizedGraph &get() const { return graph; }
  ModuleOp module() const { return *owned.module; }

private:
  /// `module` is only read.
  mutable nn::OwnedModule owned;
  OptimizedGraph graph;
};

/// Makes plans. Thread-safe.
class JitPlanner {
public:
  static Expected<std::shared_ptr<JitPlanner>> create(nn::OwnedModule owned,
                                                      const CompileOptions &options);

  Expected<std::shared_ptr<const Plan>> plan(InputDims dims, const Deadline &deadline);

private:
  JitPlanner(const Target &target, const CompileOptions &options)
      : options(options), target(target), lowering(this->target, threadsOf(options)),
        kernels(options.kernels
                    ? options.kernels
                    : std::make_shared<LinkedKernels>(createKernelCache(target, options))),
        weights(options.compileThreads) {}

  using Graph = std::shared_ptr<const FrozenGraph>;
  Expected<Graph> specialize(InputDims dims, const Limits &limits);
  Expected<Graph> splitGroups(const Graph &graph, const std::vector<Operation *> &groups);
  Expected<LoweredGraph> lower(const FrozenGraph &graph, InputDims dims, const Limits &limits);
  Expected<std::shared_ptr<const Plan>> build(const FrozenGraph &graph, const LoweredGraph &lowered,
                                              const Limits &limits);

  CompileOptions options;
  Target target;
  NativeLowering lowering;
  std::shared_ptr<LinkedKernels> kernels;
  PackedWeights weights;

  /// For all sizes; null when it has values of unknown rank.
  Graph general;
  /// For copies only, one at a time: of a graph before the passes, when they have to
  /// run for each set of sizes.
  std::optional<nn::OwnedModule> source;
  std::mutex sourceMutex;

  /// A graph in which some groups of another are split.
  struct Variant {
    Graph of;
    std::vector<size_t> groups;
    Graph graph;
  };
  static constexpr size_t kMaxVariants = 16;
  std::list<Variant> variants;
  std::mutex variantsMutex;
};
} // namespace

static bool hasUnrankedValues(ModuleOp module) {
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

Expected<std::shared_ptr<JitPlanner>> JitPlanner::create(nn::OwnedModule owned,
                                                         const CompileOptions &given) {
  CompileOptions options = allowWeightFolding(given, *owned.module);
  QUERN_ASSIGN(Target target, resolveTarget(options.targetCpu));
  // Linking would refuse it too, after the long work.
  QUERN_TRY(checkRunsHere(target));
  std::shared_ptr<JitPlanner> planner(new JitPlanner(target, options));
  passes::PipelineOptions pipeline = pipelineOptions(options, target);
  QUERN_TRY(runPasses(*owned.module, options.limits.deadline, [&](OpPassManager &pm) {
    passes::buildGraphPipeline(pm, pipeline, passes::Phase::Simplified);
  }));
  if (hasUnrankedValues(*owned.module)) {
    planner->source.emplace(std::move(owned));
    return planner;
  }
  QUERN_TRY(runPasses(*owned.module, options.limits.deadline, [&](OpPassManager &pm) {
    passes::buildLayoutPipeline(pm, pipeline);
    passes::buildFusionPipeline(pm, pipeline);
  }));
  planner->general = std::make_shared<const FrozenGraph>(std::move(owned));
  return planner;
}

/// The graph for these sizes alone.
Expected<JitPlanner::Graph> JitPlanner::specialize(InputDims dims, const Limits &limits) {
  std::lock_guard lock(sourceMutex);
  QUERN_ASSIGN(nn::OwnedModule copy, nn::copyModule(*source->module));
  func::FuncOp main = nn::findMain(*copy.module);
  passes::InputSizes sizes;
  for (size_t i = 0; i < dims.size(); ++i)
    sizes.shapes[nn::inputName(main, i)] = dims[i];
  QUERN_TRY(passes::specializeInputs(main, sizes));
  CompileOptions current = options;
  current.limits = limits;
  QUERN_TRY(optimize(*copy.module, target, current));
  return std::make_shared<const FrozenGraph>(std::move(copy));
}

/// A copy of `graph` with the ops of `groups` apart: made, or found.
Expected<JitPlanner::Graph> JitPlanner::splitGroups(const Graph &graph,
                                                    const std::vector<Operation *> &groups) {
  std::vector<size_t> positions;
  for (Operation *group : groups)
    positions.push_back(&graph->get().nodeOf(group) - graph->get().nodes().data());
  std::lock_guard lock(variantsMutex);
  for (auto at = variants.begin(); at != variants.end(); ++at)
    if (at->of == graph && at->groups == positions) {
      variants.splice(variants.begin(), variants, at);
      return at->graph;
    }
  QUERN_ASSIGN(nn::OwnedModule copy, nn::copyModule(graph->module()));
  {
    OptimizedGraph same(nn::findMain(*copy.module));
    std::vector<Operation *> copied;
    for (size_t position : positions)
      copied.push_back(same.nodes()[position].op);
    for (Operation *group : copied)
      splitGroup(group);
  }
  variants.push_front(
      {graph, std::move(positions), std::make_shared<const FrozenGraph>(std::move(copy))});
  if (variants.size() > kMaxVariants)
    variants.pop_back();
  return variants.front().graph;
}

Expected<LoweredGraph> JitPlanner::lower(const FrozenGraph &graph, InputDims dims,
                                         const Limits &limits) {
  ValueTable values(graph.get());
  func::FuncOp main = graph.get().main();
  for (auto [argument, sizes] : llvm::zip_equal(main.getArguments(), dims))
    values.setSizes(argument, sizes);
  QUERN_TRY(values.inferSizes());
  return lowerGraph(graph.get(), lowering, std::move(values), limits);
}

Expected<std::shared_ptr<const Plan>>
JitPlanner::build(const FrozenGraph &graph, const LoweredGraph &lowered, const Limits &limits) {
  QUERN_ASSIGN(UnlinkedPlan unlinked,
               buildPlan(graph.get().main(), lowered, lowering, weights, limits));
  QUERN_TRY(compileKernels(unlinked, kernels->cache(), limits.deadline));
  Plan &plan = unlinked.plan;
  for (size_t i = 0; i < plan.steps.size(); ++i)
    if (auto *work = plan.steps[i].as<KernelStep>()) {
      QUERN_ASSIGN(work->function, kernels->link(unlinked.kernelKeys[i]));
    }
  plan.keepAlive.push_back(kernels->jit());
  return std::make_shared<const Plan>(std::move(plan));
}

Expected<std::shared_ptr<const Plan>> JitPlanner::plan(InputDims dims, const Deadline &deadline) {
  Limits limits = options.limits;
  limits.deadline = deadline;
  Graph graph = general;
  if (!graph) {
    QUERN_ASSIGN(graph, specialize(dims, limits));
  }
  while (true) {
    QUERN_ASSIGN(LoweredGraph lowered, lower(*graph, dims, limits));
    if (lowered.refusedGroups.empty())
      return build(*graph, lowered, limits);
    QUERN_ASSIGN(graph, splitGroups(graph, lowered.refusedGroups));
  }
}

Expected<std::shared_ptr<Executable>> native::compileForJit(nn::OwnedModule owned,
                                                            const CompileOptions &options) {
  func::FuncOp main = nn::findMain(*owned.module);
  std::vector<PortSignature> inputs = nn::inputSignature(main);
  ModuleOp module = *owned.module;
  QUERN_ASSIGN(std::shared_ptr<JitPlanner> planner, JitPlanner::create(std::move(owned), options));
  std::vector<PortSignature> outputs = nn::outputSignature(nn::findMain(module));
  auto executable = std::make_shared<Executable>(
      std::move(inputs), std::move(outputs), [planner](InputDims dims, const Deadline &deadline) {
        return planner->plan(dims, deadline);
      });

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
