//===- PlanTree.cpp - all plans of a graph and of the bodies in it --------===//
#include "backends/plan/PlanTree.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace quern;
using namespace quern::plan;

namespace {
/// Lowers graphs from the outside in.
class TreeLowering {
public:
  TreeLowering(Instantiator &instantiator, const Deadline &deadline)
      : instantiator(instantiator), deadline(deadline) {}

  Expected<LoweredTree> lower(GraphFamily &family, std::span<const KnownValue> arguments,
                              UnknownSizes unknown, int depth);

private:
  Status lowerBodies(const GraphFamily &family, nn::RunBodiesOp op, LoweredTree &tree);

  Instantiator &instantiator;
  const Deadline &deadline;
};
} // namespace

Expected<LoweredTree> TreeLowering::lower(GraphFamily &family,
                                          std::span<const KnownValue> arguments,
                                          UnknownSizes unknown, int depth) {
  QUERN_ASSIGN(SharedGraph graph, family.graphFor(arguments, deadline));
  PlanRequest request = PlanRequest::wholeOf(std::move(graph), arguments, unknown);
  request.depth = depth;
  LoweredTree tree;
  QUERN_ASSIGN(tree.instance, instantiator.lower(family, std::move(request), deadline));
  tree.bodies.resize(family.outlined().size());
  for (const LoweredOp &op : tree.instance.lowered.ops)
    if (auto run = dyn_cast<nn::RunBodiesOp>(op.op))
      QUERN_TRY(lowerBodies(family, run, tree));
  return tree;
}

/// Lowers the bodies that an op of the tree's graph runs. A run with all sizes at hand would
/// wait for none.
Status TreeLowering::lowerBodies(const GraphFamily &family, nn::RunBodiesOp op, LoweredTree &tree) {
  auto number = static_cast<size_t>(op.getNumber());
  int depth = tree.instance.request.depth;
  BodyCall call =
      lookThroughBodies(family.tree(), op, tree.instance.lowered.values, deadline, depth);
  bool mayBeUnused = family.outlined()[number].kind == passes::OutlinedOp::Kind::If;
  for (const std::shared_ptr<GraphFamily> &body : family.bodiesOf(number)) {
    auto lowered = lower(*body, call.arguments, UnknownSizes::Reference, depth + 1);
    if (lowered) {
      tree.bodies[number].push_back(lowered.take());
      continue;
    }
    if (!mayBeUnused || lowered.status().code() != StatusCode::InvalidInput)
      return lowered.status().withContext(nn::nodeContext(op));
    tree.bodies[number].emplace_back().broken = lowered.status();
  }
  return Status::ok();
}

Expected<LoweredTree> plan::lowerTree(GraphFamily &family, std::span<const KnownValue> arguments,
                                      UnknownSizes unknown, Instantiator &instantiator,
                                      const Deadline &deadline) {
  return TreeLowering(instantiator, deadline).lower(family, arguments, unknown, /*depth=*/0);
}

Expected<PlanTree> plan::buildTree(const GraphFamily &family, const LoweredTree &lowered,
                                   Instantiator &instantiator, const Deadline &deadline) {
  PlanTree tree;
  tree.broken = lowered.broken;
  if (!tree.broken.isOk())
    return tree;
  tree.graph = lowered.instance.request.graph;
  QUERN_ASSIGN(tree.plan, instantiator.build(family, lowered.instance, deadline));
  for (const PlannedStep &step : tree.plan.steps) {
    std::vector<PlanTree> &bodies = tree.bodies.emplace_back();
    if (!step.outlined)
      continue;
    for (auto [body, made] :
         llvm::zip_equal(family.bodiesOf(*step.outlined), lowered.bodies[*step.outlined])) {
      QUERN_ASSIGN(PlanTree built, buildTree(*body, made, instantiator, deadline));
      bodies.push_back(std::move(built));
    }
  }
  return tree;
}
