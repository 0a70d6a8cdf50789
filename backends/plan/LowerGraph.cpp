//===- LowerGraph.cpp - a fused graph as a list of steps ------------------===//
#include "backends/plan/LowerGraph.h"

#include "backends/plan/ValueTable.h"
#include "ir/NNDialect.h"
#include "ir/Types.h"

#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace quern;
using namespace quern::plan;

Value LoweredGraph::resolve(Value value) const {
  for (auto it = aliases.find(value); it != aliases.end(); it = aliases.find(value))
    value = it->second;
  return value;
}

bool LoweredGraph::hasPlace(Value value) const {
  return !nn::isNone(value) && values.hasSizes(value) && dtypeOfValue(value) != DType::String;
}

/// Every op of `group` in a group of its own, in place of `group`.
static void splitGroup(nn::GroupOp group) {
  OpBuilder builder(group);
  IRMapping mapping;
  Block &body = group.getBody().front();
  for (auto [argument, operand] : llvm::zip(body.getArguments(), group.getInputs()))
    mapping.map(argument, operand);
  for (Operation &op : body.without_terminator())
    builder.clone(op, mapping);
  for (auto [result, yielded] : llvm::zip(group.getResults(), body.getTerminator()->getOperands()))
    result.replaceAllUsesWith(mapping.lookupOrDefault(yielded));
  group.erase();
}

/// Ops that only give elements another shape.
static bool isAlias(Operation *op, const LoweredGraph &graph) {
  if (!isa<nn::ReshapeOp, nn::FlattenOp, nn::SqueezeOp, nn::UnsqueezeOp>(op))
    return false;
  return graph.hasPlace(op->getOperand(0)) && graph.hasPlace(op->getResult(0));
}

static bool isConstant(Operation *op) { return isa<nn::ConstantOp, nn::WeightOp, nn::NoneOp>(op); }

static bool isTensor(Value value) { return isa<TensorType>(value.getType()); }

/// Whether `op` has sizes that are not known, in shapes that may become known.
static bool hasUnknownSizes(Operation *op, const LoweredGraph &graph) {
  auto unknown = [&](Value v) { return isTensor(v) && !graph.values.hasSizes(v); };
  return llvm::any_of(op->getOperands(), unknown) || llvm::any_of(op->getResults(), unknown);
}

static bool hasAllPlaces(Operation *op, const LoweredGraph &graph) {
  auto known = [&](Value v) { return nn::isNone(v) || graph.hasPlace(v); };
  return llvm::all_of(op->getOperands(), known) && llvm::all_of(op->getResults(), known);
}

/// Native steps, or the reason why not.
static LoweringResult lowerOne(Operation *op, const LoweredGraph &graph,
                               const OpLowering &lowering) {
  if (!hasAllPlaces(op, graph) && lowering.hasLowering(op))
    return LoweringResult::refuse("its shapes are known only at run time");
  return lowering.lower(op, graph.values);
}

Expected<LoweredGraph> plan::lowerGraph(func::FuncOp main, const OpLowering &lowering,
                                        ValueTable values, const Limits &limits) {
  LoweredGraph graph;
  graph.values = std::move(values);
  Block &block = main.getBody().front();
  for (Operation *op = &block.front(); op != block.getTerminator();) {
    if (isConstant(op)) {
      op = op->getNextNode();
      continue;
    }
    if (isAlias(op, graph)) {
      graph.aliases[op->getResult(0)] = op->getOperand(0);
      op = op->getNextNode();
      continue;
    }
    if (Status status = limits.deadline.check("lowering the graph"); !status.isOk())
      return status.withContext(nn::nodeContext(op));
    LoweringResult lowered = lowerOne(op, graph, lowering);
    if (auto group = dyn_cast<nn::GroupOp>(op); group && !lowered.isNative()) {
      // The parts may have native code where the whole has none; reference kernels
      // are of single ops.
      Operation *before = op->getPrevNode();
      splitGroup(group);
      op = before ? before->getNextNode() : &block.front();
      continue;
    }
    LoweredOp entry;
    entry.op = op;
    entry.nodes = nn::nodeName(op->getLoc());
    entry.steps = std::move(lowered.steps);
    entry.refusal = lowered.refusal;
    entry.needsSizes =
        !lowered.isNative() && lowering.hasLowering(op) && hasUnknownSizes(op, graph);
    if (!lowered.isNative()) {
      auto call = nn::makeReferenceCall(op);
      if (!call)
        return call.status().withContext(nn::nodeContext(op));
      entry.reference = call.take();
    }
    graph.ops.push_back(std::move(entry));
    op = op->getNextNode();
  }
  return graph;
}
