//===- Explain.cpp - a plan and how it came about, for people -------------===//
//
// A node of the model may be several ops, which need not be in one step. It belongs to the
// step that comes last: that finishes its result.
//
//===----------------------------------------------------------------------===//
#include "backends/plan/Explain.h"

#include "ir/FusionGroup.h"
#include "ir/NNDialect.h"
#include "ir/NodeNames.h"
#include "ir/OutlinedOps.h"
#include "ir/RecurrentOps.h"
#include "quern/Precision.h"

#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace quern;
using namespace quern::plan;
using Fate = ExplainedNode::Fate;

namespace {
class Explainer {
public:
  explicit Explainer(const Instance &instance)
      : instance(instance), graph(instance.request.graph->get()), lowered(instance.lowered) {}

  void addPlan(const UnlinkedPlan &plan);
  void addOps();
  /// Once all steps are there.
  Explanation explain();

private:
  void addStep(Operation *op, ExplainedStep step);
  void addWaiting();
  void placeNodes();
  void place(Operation *op, Fate fate, size_t step);
  Fate fateOf(Operation *op) const;

  const Instance &instance;
  const OptimizedGraph &graph;
  const LoweredGraph &lowered;
  Explanation result;
  /// The last step of each op that has one.
  llvm::DenseMap<Operation *, size_t> stepOf;
  /// What is known of each node so far.
  llvm::StringMap<ExplainedNode> places;
};
} // namespace

static Operation *productOf(Operation *op) {
  Operation *anchor = op ? nn::groupAnchor(op) : nullptr;
  return anchor ? anchor : op;
}

/// Of products with weights that are kept smaller than they are multiplied: "int4".
static std::string weightsOf(Operation *op) {
  Operation *product = productOf(op);
  if (!isa_and_nonnull<nn::BlockMatMulOp, nn::MatMulOp, nn::GemmOp>(product))
    return "";
  DType factors = nn::dtypeOf(nn::elementTypeOf(product->getOperand(0))),
        weights = nn::dtypeOf(nn::elementTypeOf(product->getOperand(1)));
  return dtypeBits(weights) < dtypeBits(factors) ? std::string(dtypeName(weights)) : "";
}

/// Of an op or a group that sums products the type of their factors, as precisions are called.
static std::string precisionOf(Operation *op) {
  Operation *product = productOf(op);
  if (!product || !(product->hasTrait<nn::SumsProducts>() || isa<nn::BlockMatMulOp>(product)))
    return "";
  // Of a recurrence these are its weights, and states.
  unsigned operand = isa<nn::RecurrentOp>(product) ? 1 : 0;
  DType factors = nn::dtypeOf(nn::elementTypeOf(product->getOperand(operand)));
  switch (factors) {
  case DType::Float32:
    return std::string(precisionName(Precision::Float32));
  case DType::BFloat16:
    return std::string(precisionName(Precision::BFloat16));
  case DType::Float16:
    return std::string(precisionName(Precision::Float16));
  default:
    return std::string(dtypeName(factors));
  }
}

/// Adds a step of `op`, which may be null.
void Explainer::addStep(Operation *op, ExplainedStep step) {
  step.precision = precisionOf(op);
  step.weights = weightsOf(op);
  if (op && stepOf.try_emplace(op, 0).second && !step.precision.empty())
    ++result
          .products[step.weights.empty() ? step.precision : step.precision + " by " + step.weights];
  if (op)
    stepOf[op] = result.steps.size();
  result.steps.push_back(std::move(step));
}

void Explainer::addWaiting() {
  for (const WaitingOp &waiting : lowered.waiting)
    addStep(waiting.node->op, {waiting.node->nodes, waiting.node->opName, {}, waiting.reason});
}

/// In place of a later stage there are the ops that wait for it.
void Explainer::addPlan(const UnlinkedPlan &plan) {
  for (auto [step, origin] : llvm::zip_equal(plan.plan.steps, plan.steps)) {
    if (step.as<StageStep>()) {
      addWaiting();
      continue;
    }
    addStep(origin.op, {.name = step.nodes,
                        .kernel = step.kernel,
                        .reason = origin.reason,
                        .way = origin.way,
                        .cost = step.cost});
  }
}

void Explainer::addOps() {
  for (const LoweredOp &op : lowered.ops)
    addStep(op.op, {.name = op.nodes,
                    .kernel = graph.nodeOf(op.op).opName,
                    .reason = op.reason,
                    .way = op.steps.empty() ? "" : op.steps.back().way});
}

/// What becomes of an op that has no step.
Fate Explainer::fateOf(Operation *op) const {
  auto isKnown = [&](Value value) { return lowered.values.isKnown(value); };
  if (llvm::all_of(op->getResults(), isKnown))
    return Fate::Constant;
  bool isNeeded = llvm::any_of(lowered.ops, [&](const LoweredOp &other) { return other.op == op; });
  bool isAlias = op->getNumResults() == 1 && lowered.aliases.contains(op->getResult(0));
  return isNeeded || isAlias ? Fate::View : Fate::Unused;
}

/// A step is more than a view, that is more than a constant, and that than nothing.
static int rank(Fate fate) {
  return fate == Fate::Step ? 3 : fate == Fate::View ? 2 : fate == Fate::Constant ? 1 : 0;
}

void Explainer::place(Operation *op, Fate fate, size_t step) {
  nn::forEachNode(op->getLoc(), [&](StringAttr name) {
    auto [at, isNew] = places.try_emplace(name.getValue(), ExplainedNode{name.str(), fate, step});
    ExplainedNode &known = at->second;
    if (!isNew && std::pair(rank(fate), step) >= std::pair(rank(known.fate), known.step))
      known = {name.str(), fate, step};
  });
}

void Explainer::placeNodes() {
  SmallVector<std::tuple<Operation *, Fate, size_t>> moves;
  for (const OptimizedGraph::Node &node : graph.nodes()) {
    auto step = stepOf.find(node.op);
    Fate fate = step == stepOf.end() ? fateOf(node.op) : Fate::Step;
    size_t number = step == stepOf.end() ? 0 : step->second;
    if (nn::movesBlocks(node.op))
      moves.emplace_back(node.op, fate, number);
    else if (auto group = dyn_cast<nn::GroupOp>(node.op))
      for (Operation &inner : group.getBody().front().without_terminator()) {
        if (!isa<nn::ConstantOp, nn::WeightOp, nn::NoneOp>(inner))
          place(&inner, fate, number);
      }
    else
      place(node.op, fate, number);
  }
  // What only moves elements bears the name of what it is done for, which is computed elsewhere.
  for (auto [op, fate, step] : moves)
    if (llvm::none_of(nn::nodeNames(op->getLoc()),
                      [&](const std::string &name) { return places.contains(name); }))
      place(op, fate, step);
}

Explanation Explainer::explain() {
  placeNodes();
  const Explanation &history = instance.request.graph->history();
  for (ExplainedNode node : history.nodes) {
    if (node.fate == Fate::Step) {
      auto at = places.find(node.name);
      node = at == places.end() ? ExplainedNode{node.name, Fate::Unused} : at->second;
    }
    if (node.fate == Fate::Step)
      result.steps[node.step].nodes.push_back(node.name);
    result.nodes.push_back(std::move(node));
  }
  result.unrounded = history.unrounded;
  result.refusals = history.refusals;
  llvm::append_range(result.refusals, instance.refusals);
  return std::move(result);
}

Explanation plan::explain(const Instance &instance, const UnlinkedPlan &plan,
                          const std::vector<Refusal> &inPlace) {
  Explainer explainer(instance);
  explainer.addPlan(plan);
  Explanation result = explainer.explain();
  llvm::append_range(result.refusals, inPlace);
  return result;
}

/// Adds what is known of a body to what is known of the graph around it.
static void addBody(Explanation &around, Explanation body) {
  size_t firstStep = around.steps.size();
  llvm::move(body.steps, std::back_inserter(around.steps));
  llvm::move(body.refusals, std::back_inserter(around.refusals));
  for (const auto &[precision, count] : body.products)
    around.products[precision] += count;
  for (const auto &[type, count] : body.unrounded)
    around.unrounded[type] += count;
  llvm::StringMap<const ExplainedNode *> inBody;
  for (ExplainedNode &node : body.nodes) {
    node.step += node.fate == Fate::Step ? firstStep : 0;
    inBody[node.name] = &node;
  }
  for (ExplainedNode &node : around.nodes)
    if (auto found = inBody.find(node.name); node.fate == Fate::Body && found != inBody.end())
      node = *found->second;
}

Explanation plan::explain(const LoweredTree &tree) {
  Explainer explainer(tree.instance);
  explainer.addOps();
  Explanation result = explainer.explain();
  for (const LoweredOp &op : tree.instance.lowered.ops)
    if (auto call = dyn_cast<nn::RunBodiesOp>(op.op))
      for (const LoweredTree &body : tree.bodies[static_cast<size_t>(call.getNumber())])
        if (body.broken.isOk())
          addBody(result, explain(body));
  return result;
}
