//===- GraphTree.cpp - a graph compiled in place, with its bodies ---------===//
#include "backends/native/GraphTree.h"

#include "backends/native/Optimize.h"
#include "ir/Signature.h"
#include "passes/SpecializeInputs.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::plan;

static void readGraph(GraphTree &tree) {
  tree.graph = std::make_unique<OptimizedGraph>(nn::findMain(tree.module));
  tree.sizes.graph = tree.graph.get();
}

Expected<std::unique_ptr<GraphTree>> native::optimizeTree(ModuleOp module, const Target &target,
                                                          const NativeOptions &options) {
  auto tree = std::make_unique<GraphTree>();
  tree->module = module;
  QUERN_ASSIGN(tree->outlined, simplifyAndOutline(module, target, options));
  tree->sizes.outlined = &tree->outlined;
  for (auto [number, op] : llvm::enumerate(tree->outlined)) {
    std::vector<std::unique_ptr<GraphTree>> &bodies = tree->bodies.emplace_back();
    std::vector<const BodyTree *> &sizes = tree->sizes.bodies.emplace_back();
    for (auto [i, body] : llvm::enumerate(op.bodies)) {
      QUERN_ASSIGN(std::unique_ptr<GraphTree> made,
                   optimizeTree(*body, target, optionsOfBody(options, op, number, i)));
      sizes.push_back(&made->sizes);
      bodies.push_back(std::move(made));
    }
  }
  QUERN_TRY(layOutAndFuse(module, target, options));
  readGraph(*tree);
  return tree;
}

static Status lowerTree(GraphTree &tree, const std::vector<KnownValue> &arguments, int depth,
                        const NativeLowering &lowering, const Limits &limits);

/// Lowers the bodies that an op of the lowered graph runs.
static Status lowerBodies(GraphTree &tree, nn::RunBodiesOp op, int depth,
                          const NativeLowering &lowering, const Limits &limits) {
  auto number = static_cast<size_t>(op.getNumber());
  BodyCall call = lookThroughBodies(tree.sizes, op, tree.lowered.values, limits.deadline, depth);
  for (const std::unique_ptr<GraphTree> &body : tree.bodies[number]) {
    Status status = lowerTree(*body, call.arguments, depth + 1, lowering, limits);
    bool mayBeUnused = tree.outlined[number].kind == passes::OutlinedOp::Kind::If &&
                       status.code() == StatusCode::InvalidInput;
    if (!status.isOk() && !mayBeUnused)
      return status.withContext(nn::nodeContext(op));
    body->broken = status;
  }
  return Status::ok();
}

static Status lowerTree(GraphTree &tree, const std::vector<KnownValue> &arguments, int depth,
                        const NativeLowering &lowering, const Limits &limits) {
  do {
    for (Operation *group : tree.lowered.refusedGroups)
      splitGroup(group);
    if (!tree.lowered.refusedGroups.empty())
      readGraph(tree);
    ShapeEnvironment values(*tree.graph, limits.deadline);
    for (auto [argument, known] : llvm::zip(tree.graph->main().getArguments(), arguments)) {
      if (known.sizes)
        values.setSizes(argument, *known.sizes);
      if (known.elements.isPresent())
        values.setElements(argument, known.elements);
    }
    QUERN_TRY(inferSizes(values, *tree.graph, tree.sizes, limits.deadline, depth));
    QUERN_ASSIGN(tree.lowered,
                 lowerGraph(*tree.graph, GraphPart::wholeOf(tree.graph->main()), lowering,
                            std::move(values), UnknownSizes::Reference, limits));
  } while (!tree.lowered.refusedGroups.empty());
  for (const LoweredOp &op : tree.lowered.ops)
    if (auto run = dyn_cast<nn::RunBodiesOp>(op.op))
      QUERN_TRY(lowerBodies(tree, run, depth, lowering, limits));
  return Status::ok();
}

Status native::lowerTree(GraphTree &tree, const NativeLowering &lowering, const Limits &limits,
                         std::span<const Tensor::Dims> inputDims) {
  std::vector<KnownValue> arguments;
  for (auto [argument, dims] : llvm::zip(tree.graph->main().getArguments(), inputDims))
    arguments.push_back(isa<TensorType>(argument.getType()) ? KnownValue{dims} : KnownValue{});
  return ::lowerTree(tree, arguments, /*depth=*/0, lowering, limits);
}

namespace {
/// Makes plans that share kernels and packed weights.
class TreePlanner {
public:
  TreePlanner(const Target &target, const NativeOptions &options)
      : target(target), options(options), lowering(target, threadsOf(options)),
        kernels(createKernelCache(target, options)), weights(options.threads) {}

  /// All graph passes.
  Expected<std::unique_ptr<GraphTree>> optimize(ModuleOp module) {
    return optimizeTree(module, target, options);
  }
  /// The same for one of several sets of sizes, of this number.
  Expected<std::unique_ptr<GraphTree>> optimizeFor(size_t number, ModuleOp module) {
    NativeOptions own = optionsOfSizes(options, number);
    return optimizeTree(module, target, own);
  }
  /// What follows, with the kernels.
  Expected<CompiledPlan> plan(GraphTree &tree, std::span<const Tensor::Dims> inputDims = {}) {
    QUERN_TRY(lowerTree(tree, lowering, options.limits, inputDims));
    return planLowered(tree);
  }
  const std::shared_ptr<KernelCache> &kernelCache() const { return kernels; }

private:
  Expected<CompiledPlan> planLowered(const GraphTree &tree);

  Target target;
  NativeOptions options;
  NativeLowering lowering;
  std::shared_ptr<KernelCache> kernels;
  PackedWeights weights;
};
} // namespace

Expected<CompiledPlan> TreePlanner::planLowered(const GraphTree &tree) {
  CompiledPlan result;
  result.broken = tree.broken;
  if (!tree.broken.isOk())
    return std::move(result);
  QUERN_ASSIGN(result.plan, buildPlan(nn::findMain(tree.module), tree.outlined, tree.lowered,
                                      lowering, weights, options.limits));
  QUERN_TRY(compileKernels(result.plan, *kernels, options.limits.deadline));
  for (auto [step, origin] : llvm::zip_equal(result.plan.plan.steps, result.plan.steps)) {
    RuntimeCall &call = result.runtimeCalls.emplace_back();
    if (origin.referenceOp) {
      QUERN_ASSIGN(call, runtimeCallOf(*step.as<ReferenceStep>(), origin.referenceOp));
    }
    std::vector<CompiledPlan> &bodies = result.bodies.emplace_back();
    if (!origin.outlined)
      continue;
    for (const std::unique_ptr<GraphTree> &body : tree.bodies[*origin.outlined]) {
      QUERN_ASSIGN(CompiledPlan made, planLowered(*body));
      bodies.push_back(std::move(made));
    }
  }
  return std::move(result);
}

/// The plan of a copy of `module` that the passes see these sizes of.
static Expected<CompiledPlan> planSpecialized(ModuleOp module, const PlannedSizes &sizes,
                                              size_t number, TreePlanner &planner) {
  QUERN_ASSIGN(nn::OwnedModule copy, nn::copyModule(module));
  QUERN_TRY(passes::specializeInputs(nn::findMain(*copy.module), sizes.inputDims));
  QUERN_ASSIGN(std::unique_ptr<GraphTree> tree, planner.optimizeFor(number, *copy.module));
  return planner.plan(*tree);
}

Expected<CompiledPlans> native::compilePlans(ModuleOp module, const NativeOptions &options,
                                             std::span<const PlannedSizes> sizes) {
  QUERN_ASSIGN(Target target, resolveTarget(options.targetCpu, options.targetTriple));
  TreePlanner planner(target, shareFolding(options, module));
  CompiledPlans result{planner.kernelCache(), {}};
  std::optional<nn::OwnedModule> source;
  if (!sizes.empty()) {
    QUERN_ASSIGN(source, nn::copyModule(module));
  }
  QUERN_ASSIGN(std::unique_ptr<GraphTree> tree, planner.optimize(module));
  if (sizes.empty()) {
    QUERN_ASSIGN(CompiledPlan plan, planner.plan(*tree));
    result.plans.push_back(std::move(plan));
  }
  bool isGeneral = !hasUnrankedValues(module);
  for (auto [number, each] : llvm::enumerate(sizes)) {
    auto plan = isGeneral ? planner.plan(*tree, each.inputDims)
                          : planSpecialized(*source->module, each, number, planner);
    if (!plan)
      return each.name.empty() ? plan.status() : plan.status().withContext(each.name);
    result.plans.push_back(plan.take());
  }
  return std::move(result);
}
