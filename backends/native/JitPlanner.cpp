//===- JitPlanner.cpp - plans of a graph, and of the bodies in it ---------===//
#include "backends/native/JitPlanner.h"

#include "backends/native/Optimize.h"
#include "backends/plan/BodySteps.h"
#include "ir/Signature.h"
#include "passes/SpecializeInputs.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::plan;

JitResources::JitResources(const Target &target, const NativeOptions &options)
    : options(options), target(target), lowering(target, threadsOf(options)),
      kernels(options.kernels
                  ? options.kernels
                  : std::make_shared<LinkedKernels>(createKernelCache(target, options))),
      weights(options.threads) {}

Expected<std::shared_ptr<JitPlanner>> JitPlanner::create(nn::OwnedModule owned,
                                                         std::shared_ptr<JitResources> resources,
                                                         const NativeOptions &options) {
  std::shared_ptr<JitPlanner> planner(new JitPlanner(std::move(resources), options.dumpPrefix));
  const Target &target = planner->shared->target;
  QUERN_ASSIGN(planner->outlined, simplifyAndOutline(*owned.module, target, options));
  QUERN_TRY(planner->planBodies(owned.context, options));
  if (hasUnrankedValues(*owned.module)) {
    planner->source.emplace(std::move(owned));
    return planner;
  }
  QUERN_TRY(layOutAndFuse(*owned.module, target, options));
  planner->general = std::make_shared<const FrozenGraph>(std::move(owned));
  planner->tree.graph = &planner->general->get();
  return planner;
}

/// Makes the planners of the bodies.
Status JitPlanner::planBodies(const std::shared_ptr<MLIRContext> &context,
                              const NativeOptions &options) {
  tree.outlined = &outlined;
  for (auto [number, op] : llvm::enumerate(outlined)) {
    std::vector<std::shared_ptr<JitPlanner>> &planners = bodies.emplace_back();
    std::vector<const BodyTree *> &trees = tree.bodies.emplace_back();
    for (auto [i, body] : llvm::enumerate(op.bodies)) {
      QUERN_ASSIGN(std::shared_ptr<JitPlanner> planner,
                   create(nn::OwnedModule(context, std::move(body)), shared,
                          optionsOfBody(options, op, number, i)));
      trees.push_back(&planner->tree);
      planners.push_back(std::move(planner));
    }
    op.bodies.clear();
  }
  return Status::ok();
}

/// The graph for these sizes alone.
Expected<JitPlanner::Graph> JitPlanner::specialize(InputDims dims, const Limits &limits) {
  QUERN_ASSIGN(nn::OwnedModule copy, nn::copyModule(*source->module));
  func::FuncOp main = nn::findMain(*copy.module);
  QUERN_TRY(passes::specializeInputs(main, ArrayRef(dims.data(), dims.size())));
  NativeOptions general = shared->options;
  general.limits = limits;
  general.dumpPrefix = dumpPrefix;
  NativeOptions current = optionsOfSizes(general, specialized++);
  QUERN_TRY(optimize(*copy.module, shared->target, current));
  nn::freezeContext(*copy.context);
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
  std::vector<Value> origins;
  {
    OptimizedGraph same(nn::findMain(*copy.module));
    origins = same.values();
    std::vector<Operation *> copied;
    for (size_t position : positions)
      copied.push_back(same.nodes()[position].op);
    for (Operation *group : copied)
      splitGroup(group);
  }
  nn::freezeContext(*copy.context);
  variants.push_front({graph, std::move(positions),
                       std::make_shared<const FrozenGraph>(std::move(copy), std::move(origins))});
  if (variants.size() > kMaxVariants)
    variants.pop_back();
  return variants.front().graph;
}

/// The dims of a tensor; none of other values.
static Tensor::Dims dimsOf(const AnyValue &value) {
  const Tensor *tensor = value.asTensor();
  return tensor ? tensor->dims() : Tensor::Dims();
}

PlanKey PlanRequest::key(std::span<const AnyValue> operands) const {
  PlanKey key = before;
  for (auto [i, operand] : llvm::enumerate(operands)) {
    Tensor::Dims dims = dimsOf(operand);
    appendDims(key, {&dims, 1});
    const Tensor *tensor = operand.asTensor();
    if (!tensor || !llvm::is_contained(part.sizeInputs, i))
      continue;
    auto *bytes = static_cast<const uint8_t *>(tensor->rawData());
    key.insert(key.end(), bytes, bytes + tensor->numBytes());
  }
  return key;
}

Expected<LoweredGraph> JitPlanner::lower(const PlanRequest &request, const Limits &limits) {
  const OptimizedGraph &graph = request.graph->get();
  ShapeEnvironment values(graph, limits.deadline);
  for (auto [argument, sizes] : llvm::zip_equal(graph.main().getArguments(), request.dims))
    if (isa<TensorType>(argument.getType()))
      values.setSizes(argument, sizes);
  for (const FoundValue &found : request.found) {
    values.setSizes(found.value, found.dims);
    if (found.elements.isPresent())
      values.setElements(found.value, found.elements);
  }
  QUERN_TRY(inferSizes(values, graph, tree, limits.deadline));
  bool mayBeCut = request.stage + 1 < PlanRequest::kMaxStages;
  return lowerGraph(graph, request.part, shared->lowering, std::move(values),
                    mayBeCut ? UnknownSizes::NextStage : UnknownSizes::Reference, limits);
}

Expected<std::shared_ptr<const Plan>>
JitPlanner::build(const PlanRequest &request, const LoweredGraph &lowered, const Limits &limits) {
  QUERN_ASSIGN(UnlinkedPlan unlinked, buildPlan(request.graph->get().main(), outlined, lowered,
                                                shared->lowering, shared->weights, limits));
  LinkedKernels &kernels = *shared->kernels;
  QUERN_TRY(compileKernels(unlinked, kernels.cache(), limits.deadline));
  Plan &plan = unlinked.plan;
  for (size_t i = 0; i < plan.steps.size(); ++i)
    if (auto *work = plan.steps[i].as<KernelStep>()) {
      const KernelSpec &kernel = unlinked.kernels[*unlinked.steps[i].kernel];
      QUERN_ASSIGN(work->function, kernels.link(kernel.key));
    } else if (plan.steps[i].as<StageStep>()) {
      setPlanners(plan.steps[i], {stagePlanner(request, unlinked.later)});
    } else if (std::optional<size_t> number = unlinked.steps[i].outlined) {
      setPlanners(plan.steps[i], bodyPlanners(*number));
    }
  plan.keepAlive.push_back(kernels.jit());
  return std::make_shared<const Plan>(std::move(plan));
}

static Status planOutlivedGraph() { return internalError("a plan has outlived its executable"); }

/// Plans `part`, which is what `request` leaves to be done. The plan does not own its
/// planner, which may keep it.
Planner JitPlanner::stagePlanner(PlanRequest request, const GraphPart &part) {
  request.part = part;
  ++request.stage;
  return [owner = weak_from_this(), request = std::move(request)](
             std::span<const AnyValue> operands,
             const Deadline &deadline) -> Expected<std::shared_ptr<const Plan>> {
    std::shared_ptr<JitPlanner> planner = owner.lock();
    return planner ? planner->planStage(request, operands, deadline) : planOutlivedGraph();
  };
}

std::vector<Planner> JitPlanner::bodyPlanners(size_t outlinedOp) const {
  std::vector<Planner> planners;
  for (const std::shared_ptr<JitPlanner> &body : bodies[outlinedOp])
    planners.push_back([owner = std::weak_ptr(body)](
                           std::span<const AnyValue> operands,
                           const Deadline &deadline) -> Expected<std::shared_ptr<const Plan>> {
      std::shared_ptr<JitPlanner> planner = owner.lock();
      return planner ? planner->planBody(operands, deadline) : planOutlivedGraph();
    });
  return planners;
}

Expected<std::shared_ptr<const Plan>> JitPlanner::planStage(const PlanRequest &next,
                                                            std::span<const AnyValue> operands,
                                                            const Deadline &deadline) {
  PlanKey key = next.key(operands);
  if (auto known = kept.find(key))
    return known;
  PlanRequest request = next;
  request.before = key;
  for (auto [i, input] : llvm::enumerate(request.part.inputs)) {
    const Tensor *tensor = operands[i].asTensor();
    if (!tensor)
      continue;
    FoundValue found{input, tensor->dims(), {}};
    if (llvm::is_contained(request.part.sizeInputs, i)) {
      QUERN_ASSIGN(found.elements, tensor->clone());
    }
    request.found.push_back(std::move(found));
  }
  QUERN_ASSIGN(std::shared_ptr<const Plan> made, plan(std::move(request), deadline));
  return kept.insert(key, std::move(made));
}

Expected<std::shared_ptr<const Plan>> JitPlanner::planBody(std::span<const AnyValue> operands,
                                                           const Deadline &deadline) {
  std::vector<Tensor::Dims> dims;
  for (const AnyValue &operand : operands)
    dims.push_back(dimsOf(operand));
  // Keys of stages start with the number of a graph, which is not 0.
  PlanKey key = {0};
  appendDims(key, dims);
  if (auto known = kept.find(key))
    return known;
  QUERN_ASSIGN(std::shared_ptr<const Plan> made, plan(dims, deadline));
  return kept.insert(key, std::move(made));
}

Expected<std::shared_ptr<const Plan>> JitPlanner::plan(PlanRequest request,
                                                       const Deadline &deadline) {
  Limits limits = shared->options.limits;
  limits.deadline = deadline;
  while (true) {
    QUERN_ASSIGN(LoweredGraph lowered, lower(request, limits));
    if (lowered.refusedGroups.empty())
      return build(request, lowered, limits);
    Graph before = request.graph;
    QUERN_ASSIGN(request.graph, splitGroups(before, lowered.refusedGroups));
    request.part = request.graph->translate(request.part, *before);
    for (FoundValue &found : request.found)
      found.value = request.graph->translate(found.value, *before);
  }
}

Expected<std::shared_ptr<const Plan>> JitPlanner::plan(InputDims dims, const Deadline &deadline) {
  PlanRequest request;
  request.graph = general;
  if (!request.graph) {
    Limits limits = shared->options.limits;
    limits.deadline = deadline;
    QUERN_ASSIGN(request.graph, specialize(dims, limits));
  }
  request.dims.assign(dims.begin(), dims.end());
  request.part = GraphPart::wholeOf(request.graph->get().main());
  request.before = {request.graph->id()};
  appendDims(request.before, dims);
  return plan(std::move(request), deadline);
}
