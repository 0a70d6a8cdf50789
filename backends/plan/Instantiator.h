//===- Instantiator.h - from a graph to its plan for some sizes -----------===//
#pragma once

#include "backends/plan/PackedWeights.h"
#include "backends/plan/PlanBuilder.h"
#include "backends/plan/PlanRequest.h"

namespace quern::plan {

class PlanTemplate;

/// A graph lowered for one set of sizes.
struct Instance {
  /// Of the graph that it is, which may be a variant of the one asked for.
  PlanRequest request;
  LoweredGraph lowered;
  /// The groups that had to be cut, and why.
  std::vector<Refusal> refusals = {};
};

/// Makes plans of all graphs of a model. They share packed weights. Thread-safe: what nobody
/// changes any more needs no lock.
class Instantiator {
public:
  /// The deadline of `limits` does not count: each call has its own. `threads` pack weights.
  Instantiator(std::shared_ptr<const OpLowering> lowering, const Limits &limits, int threads)
      : lowering(std::move(lowering)), limits(limits), weights(threads) {}

  /// The sizes of all values.
  Expected<ShapeEnvironment> infer(const GraphFamily &family, const PlanRequest &request,
                                   const Deadline &deadline) const;
  /// Lowers what is requested. Groups without native code as a whole are cut.
  Expected<Instance> lower(GraphFamily &family, PlanRequest request, const Deadline &deadline);
  /// The same where the sizes have been inferred.
  Expected<Instance> lower(GraphFamily &family, PlanRequest request, ShapeEnvironment values,
                           const Deadline &deadline);
  /// The plan, with its weights packed. See buildPlan for `refusals`.
  Expected<UnlinkedPlan> build(const GraphFamily &family, const Instance &instance,
                               const Deadline &deadline, std::vector<Refusal> *refusals = nullptr);
  /// Of a plan that was built of this instance, and linked.
  std::shared_ptr<const PlanTemplate> makeTemplate(Instance instance, UnlinkedPlan linked) const;

  /// Whether each plan is made anew, for those who look at it.
  bool isObserved() const { return !lowering->observers().empty(); }

private:
  Limits within(const Deadline &deadline) const;

  std::shared_ptr<const OpLowering> lowering;
  Limits limits;
  PackedWeights weights;
};

} // namespace quern::plan
