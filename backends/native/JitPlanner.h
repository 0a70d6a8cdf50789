//===- JitPlanner.h - plans of a graph, and of the bodies in it -----------===//
//
// The graph passes run once, on symbolic sizes. For a set of input sizes a plan is
// instantiated from what they leave, which nobody changes any more, so that threads
// do it side by side.
//
// Where a size depends on data, the plan of the input sizes ends with a step that asks for
// the plan of what follows once the size is known: so all that can be native is.
//
// Branches and bodies of loops are graphs of their own with a planner each, which their
// steps ask when a run has got there.
//
// Two decisions may hold for some sizes only. A fusion group may have no native code
// as a whole: a copy of the graph in which its ops stand apart is kept then. And where
// even ranks are not known, passes have little to go by: they run once more for the
// sizes at hand.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/native/Compiler.h"
#include "backends/native/FrozenGraph.h"
#include "backends/native/lowering/Lowering.h"
#include "backends/plan/BodySizes.h"
#include "runtime/plan/PlanCache.h"

#include <atomic>
#include <list>
#include <mutex>

namespace quern::native {

/// What a stage has found out of a value: its sizes, and its elements if sizes depend
/// on them.
struct FoundValue {
  mlir::Value value;
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
  plan::GraphPart part;
  /// How many stages come before; each is a call of its own in the run.
  int stage = 0;
  static constexpr int kMaxStages = 32;
  /// What tells it from requests of other graphs, sizes and earlier findings. The part
  /// follows from them: it is what they leave to be done.
  PlanKey before;

  /// The key of its plan for such inputs of the part.
  PlanKey key(std::span<const AnyValue> operands) const;
};

/// What the planners of a graph and of the bodies in it share.
struct JitResources {
  NativeOptions options;
  Target target;
  NativeLowering lowering;
  std::shared_ptr<LinkedKernels> kernels;
  plan::PackedWeights weights;

  JitResources(const Target &target, const NativeOptions &options);
};

/// Makes plans. Thread-safe.
class JitPlanner : public std::enable_shared_from_this<JitPlanner> {
public:
  using InputDims = std::span<const Tensor::Dims>;

  /// `options` are those of this graph, see optionsOfBody.
  static Expected<std::shared_ptr<JitPlanner>>
  create(nn::OwnedModule owned, std::shared_ptr<JitResources> shared, const NativeOptions &options);

  Expected<std::shared_ptr<const Plan>> plan(InputDims dims, const Deadline &deadline);

private:
  JitPlanner(std::shared_ptr<JitResources> shared, std::string dumpPrefix)
      : shared(std::move(shared)), kept(Executable::kDefaultPlanCacheBytes),
        dumpPrefix(std::move(dumpPrefix)) {}

  using Graph = std::shared_ptr<const FrozenGraph>;
  Status planBodies(const std::shared_ptr<mlir::MLIRContext> &context,
                    const NativeOptions &options);
  Expected<Graph> specialize(InputDims dims, const Limits &limits);
  Expected<Graph> splitGroups(const Graph &graph, const std::vector<mlir::Operation *> &groups);
  Expected<plan::LoweredGraph> lower(const PlanRequest &request, const Limits &limits);
  Expected<std::shared_ptr<const Plan>>
  build(const PlanRequest &request, const plan::LoweredGraph &lowered, const Limits &limits);
  Expected<std::shared_ptr<const Plan>> plan(PlanRequest request, const Deadline &deadline);
  Expected<std::shared_ptr<const Plan>>
  planStage(const PlanRequest &next, std::span<const AnyValue> operands, const Deadline &deadline);
  Expected<std::shared_ptr<const Plan>> planBody(std::span<const AnyValue> operands,
                                                 const Deadline &deadline);
  Planner stagePlanner(PlanRequest request, const plan::GraphPart &part);
  std::vector<Planner> bodyPlanners(size_t outlinedOp) const;

  std::shared_ptr<JitResources> shared;
  /// The plans of stages after the first, and of a body.
  PlanCache kept;

  /// For all sizes; null when it has values of unknown rank.
  Graph general;
  /// For copies only: of a graph before the passes, when they have to run for each set of
  /// sizes.
  std::optional<nn::OwnedModule> source;
  /// How often that was done, and what names of dumps begin with.
  std::atomic<size_t> specialized = 0;
  std::string dumpPrefix;

  /// The ops whose bodies are graphs of their own, and the planners of these.
  std::vector<passes::OutlinedOp> outlined;
  std::vector<std::vector<std::shared_ptr<JitPlanner>>> bodies;
  /// The same for whoever looks through bodies.
  plan::BodyTree tree;

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

} // namespace quern::native
