//===- Instantiator.cpp - from a graph to its plan for some sizes ---------===//
#include "backends/plan/Instantiator.h"

#include "backends/plan/PlanTemplate.h"

using namespace mlir;
using namespace quern;
using namespace quern::plan;

Limits Instantiator::within(const Deadline &deadline) const {
  Limits current = limits;
  current.deadline = deadline;
  return current;
}

Expected<ShapeEnvironment> Instantiator::infer(const GraphFamily &family,
                                               const PlanRequest &request,
                                               const Deadline &deadline) const {
  const OptimizedGraph &graph = request.graph->get();
  ShapeEnvironment values(graph, deadline);
  for (const auto &[value, known] : request.found) {
    if (known.sizes)
      values.setSizes(value, *known.sizes);
    if (known.elements.isPresent())
      values.setElements(value, known.elements);
  }
  QUERN_TRY(inferSizes(values, graph, family.tree(), deadline, request.depth));
  return std::move(values);
}

Expected<Instance> Instantiator::lower(GraphFamily &family, PlanRequest request,
                                       const Deadline &deadline) {
  QUERN_ASSIGN(ShapeEnvironment values, infer(family, request, deadline));
  return lower(family, std::move(request), std::move(values), deadline);
}

Expected<Instance> Instantiator::lower(GraphFamily &family, PlanRequest request,
                                       ShapeEnvironment values, const Deadline &deadline) {
  Limits current = within(deadline);
  bool mayBeCut = request.stage + 1 < PlanRequest::kMaxStages;
  std::vector<Refusal> refusals;
  while (true) {
    QUERN_ASSIGN(LoweredGraph lowered,
                 lowerGraph(request.graph->get(), request.part, *this->lowering, std::move(values),
                            mayBeCut ? request.unknown : UnknownSizes::Reference, current));
    if (lowered.refusedGroups.empty())
      return Instance{std::move(request), std::move(lowered), std::move(refusals)};
    llvm::move(lowered.refusals, std::back_inserter(refusals));
    QUERN_ASSIGN(SharedGraph variant, family.cutGroups(request.graph, lowered.refusedGroups));
    request.moveTo(std::move(variant));
    QUERN_ASSIGN(values, infer(family, request, deadline));
  }
}

Expected<UnlinkedPlan> Instantiator::build(const GraphFamily &family, const Instance &instance,
                                           const Deadline &deadline,
                                           std::vector<Refusal> *refusals) {
  return buildPlan(instance.request.graph->get().main(), family.outlined(), instance.lowered,
                   *lowering, weights, within(deadline), refusals);
}

std::shared_ptr<const PlanTemplate> Instantiator::makeTemplate(Instance instance,
                                                               UnlinkedPlan linked) const {
  return std::make_shared<const PlanTemplate>(std::move(instance), std::move(linked), lowering,
                                              limits);
}
