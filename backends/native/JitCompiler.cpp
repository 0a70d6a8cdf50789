//===- JitCompiler.cpp - plans for running in this process ----------------===//
//
// The graph passes run once, on symbolic sizes. For a set of input sizes a plan is
// instantiated from what they leave, which nobody changes any more, so that threads
// do it side by side.
//
// Where a size depends on data, the plan of the input sizes ends with a step that asks for
// the plan of what follows once the size is known: so all that can be native is.
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
#include "runtime/plan/PlanCache.h"

#include <atomic>
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
  /// `origins` are the values of the graph that it is a copy of, by number: what they
  /// are here.
  explicit FrozenGraph(nn::OwnedModule &&owned, std::vector<Value> origins = {})
      : owned(std::move(owned)), graph(nn::findMain(*this->owned.module)),
        origins(std::move(origins)), serial(++lastSerial) {}

  const OptimizedGraph &get() const { return graph; }
  ModuleOp module() const { return *owned.module; }
  /// Tells it from all others that there have been.
  int64_t id() const { return serial; }
  /// What `part`, of the graph that this is a copy of, is here.
  GraphPart translate(const GraphPart &part, const FrozenGraph &original) const;
  Value translate(Value value, const FrozenGraph &original) const {
    return origins[original.graph.factsOf(value).number];
  }

private:
  static inline std::atomic<int64_t> lastSerial = 0;

  /// `module` is only read.
  mutable nn::OwnedModule owned;
  OptimizedGraph graph;
  std::vector<Value> origins;
  int64_t serial;
};

/// What a stage has found out of a value: its sizes, and its elements if sizes depend
/// on them.
struct FoundValue {
  Value value;
  Tensor::Dims dims;
  Tensor elements;
};

/// What a plan is made for.
struct PlanRequest {
  std::shared_ptr<const FrozenGraph> graph;
  /// The sizes of the graph's inputs.
  std::vector<Tensor::Dims> dims;
  /// By earlier stages.
  std::vector<FoundValue> found;
  GraphPart part;
  /// How many stages come before; each is a call of its own in the run.
  int stage = 0;
  static constexpr int kMaxStages = 32;
  /// What tells it from requests of other graphs, sizes and earlier findings. The part
  /// follows from them: it is what they leave to be done.
  PlanKey before;

  /// The key of its plan for such inputs of the part.
  PlanKey key(std::span<const Tensor> operands) const;
};

/// Makes plans. Thread-safe.
class JitPlanner : public std::enable_shared_from_this<JitPlanner> {
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
        weights(options.compileThreads), stages(Executable::kDefaultPlanCacheBytes) {}

  using Graph = std::shared_ptr<const FrozenGraph>;
  Expected<Graph> specialize(InputDims dims, const Limits &limits);
  Expected<Graph> splitGroups(const Graph &graph, const std::vector<Operation *> &groups);
  Expected<LoweredGraph> lower(const PlanRequest &request, const Limits &limits);
  Expected<std::shared_ptr<const Plan>> build(const PlanRequest &request,
                                              const LoweredGraph &lowered, const Limits &limits);
  Expected<std::shared_ptr<const Plan>> plan(PlanRequest request, const Deadline &deadline);
  Expected<std::shared_ptr<const Plan>>
  planStage(const PlanRequest &next, std::span<const Tensor> operands, const Deadline &deadline);
  StageStep::Planner stagePlanner(PlanRequest request, const GraphPart &part);

  CompileOptions options;
  Target target;
  NativeLowering lowering;
  std::shared_ptr<LinkedKernels> kernels;
  PackedWeights weights;
  /// The plans of stages after the first.
  PlanCache stages;

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
  variants.push_front({graph, std::move(positions),
                       std::make_shared<const FrozenGraph>(std::move(copy), std::move(origins))});
  if (variants.size() > kMaxVariants)
    variants.pop_back();
  return variants.front().graph;
}

/// The values it is given belong to ops that stand as they did; its outputs are the same
/// ones of the graph's.
GraphPart FrozenGraph::translate(const GraphPart &part, const FrozenGraph &original) const {
  GraphPart result;
  result.sizeInputs = part.sizeInputs;
  for (Value input : part.inputs)
    result.inputs.push_back(translate(input, original));
  result.outputNumbers = part.outputNumbers;
  Operation *exit = graph.main().getBody().front().getTerminator();
  for (unsigned number : part.outputNumbers)
    result.outputs.push_back(exit->getOperand(number));
  return result;
}

PlanKey PlanRequest::key(std::span<const Tensor> operands) const {
  PlanKey key = before;
  for (auto [i, operand] : llvm::enumerate(operands)) {
    appendDims(key, {&operand.dims(), 1});
    if (!llvm::is_contained(part.sizeInputs, i))
      continue;
    auto *bytes = static_cast<const uint8_t *>(operand.rawData());
    key.insert(key.end(), bytes, bytes + operand.numBytes());
  }
  return key;
}

Expected<LoweredGraph> JitPlanner::lower(const PlanRequest &request, const Limits &limits) {
  const OptimizedGraph &graph = request.graph->get();
  ValueTable values(graph);
  for (auto [argument, sizes] : llvm::zip_equal(graph.main().getArguments(), request.dims))
    values.setSizes(argument, sizes);
  for (const FoundValue &found : request.found) {
    values.setSizes(found.value, found.dims);
    if (found.elements.isPresent())
      values.setElements(found.value, found.elements);
  }
  QUERN_TRY(values.inferSizes());
  bool mayBeCut = request.stage + 1 < PlanRequest::kMaxStages;
  return lowerGraph(graph, request.part, lowering, std::move(values),
                    mayBeCut ? UnknownSizes::NextStage : UnknownSizes::Reference, limits);
}

Expected<std::shared_ptr<const Plan>>
JitPlanner::build(const PlanRequest &request, const LoweredGraph &lowered, const Limits &limits) {
  QUERN_ASSIGN(UnlinkedPlan unlinked,
               buildPlan(request.graph->get().main(), lowered, lowering, weights, limits));
  QUERN_TRY(compileKernels(unlinked, kernels->cache(), limits.deadline));
  Plan &plan = unlinked.plan;
  for (size_t i = 0; i < plan.steps.size(); ++i)
    if (auto *work = plan.steps[i].as<KernelStep>()) {
      QUERN_ASSIGN(work->function, kernels->link(unlinked.kernelKeys[i]));
    } else if (auto *stage = plan.steps[i].as<StageStep>()) {
      stage->planner = stagePlanner(request, unlinked.later);
    }
  plan.keepAlive.push_back(kernels->jit());
  return std::make_shared<const Plan>(std::move(plan));
}

/// Plans `part`, which is what `request` leaves to be done. The plan does not own its
/// planner, which may keep it.
StageStep::Planner JitPlanner::stagePlanner(PlanRequest request, const GraphPart &part) {
  request.part = part;
  ++request.stage;
  return [owner = weak_from_this(), request = std::move(request)](
             std::span<const Tensor> operands,
             const Deadline &deadline) -> Expected<std::shared_ptr<const Plan>> {
    std::shared_ptr<JitPlanner> planner = owner.lock();
    if (!planner)
      return internalError("a plan has outlived its executable");
    return planner->planStage(request, operands, deadline);
  };
}

Expected<std::shared_ptr<const Plan>> JitPlanner::planStage(const PlanRequest &next,
                                                            std::span<const Tensor> operands,
                                                            const Deadline &deadline) {
  PlanKey key = next.key(operands);
  if (auto kept = stages.find(key))
    return kept;
  PlanRequest request = next;
  request.before = key;
  for (auto [i, input] : llvm::enumerate(request.part.inputs)) {
    FoundValue found{input, operands[i].dims(), {}};
    if (llvm::is_contained(request.part.sizeInputs, i)) {
      QUERN_ASSIGN(found.elements, operands[i].clone());
    }
    request.found.push_back(std::move(found));
  }
  QUERN_ASSIGN(std::shared_ptr<const Plan> made, plan(std::move(request), deadline));
  return stages.insert(key, std::move(made));
}

Expected<std::shared_ptr<const Plan>> JitPlanner::plan(PlanRequest request,
                                                       const Deadline &deadline) {
  Limits limits = options.limits;
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
    Limits limits = options.limits;
    limits.deadline = deadline;
    QUERN_ASSIGN(request.graph, specialize(dims, limits));
  }
  request.dims.assign(dims.begin(), dims.end());
  request.part = GraphPart::wholeOf(request.graph->get().main());
  request.before = {request.graph->id()};
  appendDims(request.before, dims);
  return plan(std::move(request), deadline);
}

Expected<std::shared_ptr<Executable>> native::compileForJit(nn::OwnedModule owned,
                                                            const CompileOptions &options) {
  func::FuncOp main = nn::findMain(*owned.module);
  QUERN_TRY(nn::requireTensors(main));
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
