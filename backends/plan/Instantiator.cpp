//===- Instantiator.cpp - from a graph to its plan for some sizes ---------===//
#include "backends/plan/Instantiator.h"

using namespace mlir;
using namespace quern;
using namespace quern::plan;

Limits Instantiator::within(const Deadline &deadline) const {
  Limits current = limits;
  current.deadline = deadline;
  return current;
}

Expected<LoweredGraph> Instantiator::lowerOnce(const GraphFamily &family,
                                               const PlanRequest &request,
                                               const Limits &current) const {
  const OptimizedGraph &graph = request.graph->get();
  ShapeEnvironment values(graph, current.deadline);
  for (const auto &[value, known] : request.found) {
    if (known.sizes)
      values.setSizes(value, *known.sizes);
    if (known.elements.isPresent())
      values.setElements(value, known.elements);
  }
  QUERN_TRY(inferSizes(values, graph, family.tree(), current.deadline, request.depth));
  bool mayBeCut = request.stage + 1 < PlanRequest::kMaxStages;
  return lowerGraph(graph, request.part, *lowering, std::move(values),
                    mayBeCut ? request.unknown : UnknownSizes::Reference, current);
}

Expected<Instance> Instantiator::lower(GraphFamily &family, PlanRequest request,
                                       const Deadline &deadline) {
  Limits current = within(deadline);
  std::vector<Refusal> refusals;
  while (true) {
    QUERN_ASSIGN(LoweredGraph lowered, lowerOnce(family, request, current));
    if (lowered.refusedGroups.empty())
      return Instance{std::move(request), std::move(lowered), std::move(refusals)};
    llvm::move(lowered.refusals, std::back_inserter(refusals));
    QUERN_ASSIGN(SharedGraph variant, family.cutGroups(request.graph, lowered.refusedGroups));
    request.moveTo(std::move(variant));
  }
}

Expected<UnlinkedPlan> Instantiator::build(const GraphFamily &family, const Instance &instance,
                                           const Deadline &deadline,
                                           std::vector<Refusal> *refusals) {
  return buildPlan(instance.request.graph->get().main(), family.outlined(), instance.lowered,
                   *lowering, weights, within(deadline), refusals);
}
