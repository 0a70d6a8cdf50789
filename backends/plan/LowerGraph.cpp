//===- LowerGraph.cpp - a fused graph as a list of steps ------------------===//
//
// From the outputs back, so that what only shapes depended on, and shapes are known
// now, is never lowered.
//
//===----------------------------------------------------------------------===//
#include "backends/plan/LowerGraph.h"

#include "backends/plan/CostRules.h"
#include "ir/NodeNames.h"
#include "ir/OutlinedOps.h"
#include "runtime/running/Budget.h"

#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/SetVector.h"

#include <cassert>
#include <cmath>

using namespace mlir;
using namespace quern;
using namespace quern::plan;

Value LoweredGraph::resolve(Value value) const {
  for (auto it = aliases.find(value); it != aliases.end(); it = aliases.find(value))
    value = it->second;
  return value;
}

bool plan::hasPlace(Value value, const ShapeEnvironment &values) {
  return !nn::isNone(value) && values.hasSizes(value) && dtypeOfValue(value) != DType::String;
}

Expected<int64_t> LoweredGraph::checkedBytes(Value value, const SharedText &nodes,
                                             const Limits &limits) const {
  CheckedSize bytes =
      CheckedSize::product(values.sizesOf(value)) * CheckedSize(dtypeBytes(dtypeOfValue(value)));
  if (!bytes.valid())
    return resourceLimit("a value of node '" + nodes.str() + "' is too large");
  if (bytes.value() > limits.maxActivationBytes)
    return Budget(limits).hold(bytes.value()).withContext("node '" + nodes.str() + "'");
  return bytes.value();
}

GraphPart GraphPart::wholeOf(func::FuncOp main) {
  GraphPart whole;
  whole.inputs.assign(main.getArguments().begin(), main.getArguments().end());
  for (OpOperand &output : main.getBody().front().getTerminator()->getOpOperands()) {
    whole.outputs.push_back(output.get());
    whole.outputNumbers.push_back(output.getOperandNumber());
  }
  return whole;
}

Reason plan::sizeToCome() {
  return {ReasonCode::UnknownSize, "it waits for a size that only a run can tell"};
}

namespace {
class GraphLowering {
public:
  GraphLowering(const OptimizedGraph &graph, GraphPart part, const OpLowering &lowering,
                ShapeEnvironment values, const Limits &limits)
      : graph(graph), lowering(lowering), limits(limits),
        given(part.inputs.begin(), part.inputs.end()) {
    result.part = std::move(part);
    result.values = std::move(values);
  }

  /// Leaves all that depends on sizes which are not known yet to later stages.
  void deferUnknownSizes();

  Expected<LoweredGraph> lower();

private:
  void need(Value value);
  void needOperands(const LoweredOp &entry);
  bool isNeeded(Operation *op) const {
    return llvm::any_of(op->getResults(), [&](Value v) { return needed.contains(v); });
  }
  /// Whether a later stage makes the value.
  bool isDeferred(Value v) const {
    Operation *producer = v.getDefiningOp();
    return producer && deferred.contains(producer);
  }
  /// Whether it is a shape, which may become known, that lacks sizes.
  bool lacksSizes(Value v) const {
    return isa<TensorType>(v.getType()) && !result.values.hasSizes(v);
  }
  Status checkSizes(const OptimizedGraph::Node &node) const;
  Status countTables(const LoweredOp &entry);
  Status lowerNode(const OptimizedGraph::Node &node);
  void passOn(const OptimizedGraph::Node &node);
  void shortenAliases();

  const OptimizedGraph &graph;
  const OpLowering &lowering;
  const Limits &limits;
  LoweredGraph result;
  llvm::DenseSet<Value> given, needed;
  llvm::DenseSet<Operation *> deferred;
  llvm::SmallSetVector<Value, 16> passed;
  llvm::DenseSet<Value> sizeOperands;
  /// Bytes of the constants that lowerings have made.
  CheckedSize tableBytes;
};
} // namespace

/// Marks a value that the run must compute: nothing given, and nothing known now.
void GraphLowering::need(Value value) {
  if (!nn::isNone(value) && !given.contains(value) && !result.values.isKnown(value))
    needed.insert(value);
}

void GraphLowering::deferUnknownSizes() {
  auto isUnknown = [&](Value v) { return isDeferred(v) || lacksSizes(v); };
  for (const OptimizedGraph::Node &node : graph.nodes())
    if (llvm::any_of(node.op->getOperands(), isUnknown) ||
        !result.values.sizeOperandsOf(node.op).empty())
      deferred.insert(node.op);
}

/// Marks what a later stage needs of an op that belongs to it.
void GraphLowering::passOn(const OptimizedGraph::Node &node) {
  bool mayBeNative = lowering.hasLowering(node.op) || isa<nn::RunBodiesOp>(node.op);
  result.waiting.push_back({&node, mayBeNative
                                       ? sizeToCome()
                                       : Reason(lowering.lower(node.op, result.values).reason())});
  for (Value operand : node.op->getOperands()) {
    need(operand);
    if (given.contains(operand) || (needed.contains(operand) && !isDeferred(operand)))
      passed.insert(operand);
  }
  for (Value operand : result.values.sizeOperandsOf(node.op))
    if (passed.contains(operand))
      sizeOperands.insert(operand);
}

/// Steps say what they read; a reference kernel reads all operands. So does an op that
/// has nothing to compute: what is wrong with its operands is reported all the same.
void GraphLowering::needOperands(const LoweredOp &entry) {
  if (entry.steps.empty())
    for (Value operand : entry.op->getOperands())
      need(operand);
  for (const LoweredStep &step : entry.steps)
    for (const StepBuffer &buffer : step.buffers)
      if (buffer.kind == StepBuffer::Kind::Value && buffer.value.getDefiningOp() != entry.op)
        need(buffer.value);
}

bool plan::isAlias(Operation *op, const ShapeEnvironment &values) {
  if (op->getNumOperands() == 0 || op->getNumResults() != 1 ||
      !hasPlace(op->getOperand(0), values) || !hasPlace(op->getResult(0), values))
    return false;
  if (isa<nn::ExpandOp>(op))
    return values.sizeOperandsOf(op).empty() &&
           values.elementsOf(op->getOperand(0)) == values.elementsOf(op->getResult(0));
  auto transpose = dyn_cast<nn::TransposeOp>(op);
  if (!transpose)
    return isa<nn::BitCastOp, nn::ReshapeOp, nn::FlattenOp, nn::SqueezeOp, nn::UnsqueezeOp>(op);
  ArrayRef<int64_t> sizes = values.sizesOf(op->getOperand(0));
  int64_t last = -1;
  for (int64_t axis : transpose.getPerm()) {
    if (sizes[axis] == 1)
      continue;
    if (axis < last)
      return false;
    last = axis;
  }
  return !transpose.getPerm().empty();
}

LoweringResult plan::lowerOp(Operation *op, const OpLowering &lowering,
                             const ShapeEnvironment &values) {
  if (!lowering.hasLowering(op))
    return lowering.lower(op, values);
  SmallVector<Value> ports(op->getOperands());
  llvm::append_range(ports, op->getResults());
  auto holdsNumbers = [](Value v) {
    return nn::isNone(v) || (isa<TensorType>(v.getType()) && dtypeOfValue(v) != DType::String);
  };
  if (!llvm::all_of(ports, holdsNumbers))
    return Reason{ReasonCode::ElementType, "native code is for tensors of numbers only"};
  if (llvm::any_of(ports,
                   [&](Value v) { return isa<TensorType>(v.getType()) && !values.hasSizes(v); }))
    return Reason{ReasonCode::UnknownSize, "its shapes are known only at run time"};
  // Code takes sizes as they are: it would not see those that are wrong.
  if (!values.sizeOperandsOf(op).empty())
    return Reason{ReasonCode::DataDependent, "a run must check the shape that it asks for"};
  return lowering.lower(op, values);
}

/// Whether a run may hold what the op works on: no lowering counts elements, or makes a table
/// of them, that there can never be.
Status GraphLowering::checkSizes(const OptimizedGraph::Node &node) const {
  auto check = [&](Value value) -> Status {
    if (!result.hasPlace(value) || result.values.isKnown(value))
      return Status::ok();
    Operation *producer = value.getDefiningOp();
    bool isNode = producer && !isa<nn::ConstantOp, nn::WeightOp>(producer);
    return result.checkedBytes(value, isNode ? graph.nodeOf(producer).nodes : node.nodes, limits)
        .status();
  };
  for (Value operand : node.op->getOperands())
    QUERN_TRY(check(operand));
  for (Value value : node.op->getResults())
    QUERN_TRY(check(value));
  return Status::ok();
}

/// Counts the tables that a plan keeps for an op. All of them together are within what a run may
/// hold: they are there as long as its memory is.
Status GraphLowering::countTables(const LoweredOp &entry) {
  for (const LoweredStep &step : entry.steps)
    for (const StepBuffer &buffer : step.buffers)
      if (buffer.kind == StepBuffer::Kind::Weights && !buffer.pack)
        tableBytes += CheckedSize(buffer.tensor.numBytes());
  if (tableBytes.valid() && tableBytes.value() <= limits.maxActivationBytes)
    return Status::ok();
  return Budget(limits)
      .hold(tableBytes.value())
      .withContext("node '" + entry.nodes.str() + "': its tables, and those of other nodes");
}

/// It names the ops up to the one that does not fit, or all.
static Refusal refusalOf(const GroupCut &cut, Reason reason) {
  if (!cut.misfit) {
    reason.nodes = nn::nodeNames(cut.group->getLoc());
    return {Refusal::Kind::Fuse, std::move(reason)};
  }
  for (Operation &inner : *cut.misfit->getBlock()) {
    if (!isa<nn::ConstantOp, nn::WeightOp, nn::NoneOp>(inner))
      for (std::string &name : nn::nodeNames(inner.getLoc()))
        if (!llvm::is_contained(reason.nodes, name))
          reason.nodes.push_back(std::move(name));
    if (&inner == cut.misfit)
      break;
  }
  return {Refusal::Kind::Fuse, std::move(reason)};
}

[[maybe_unused]] static bool shareAll(const LoweredSteps &steps) {
  double all = 0;
  for (const LoweredStep &step : steps)
    all += step.share;
  return steps.empty() || std::abs(all - 1) < 1e-9;
}

Status GraphLowering::lowerNode(const OptimizedGraph::Node &node) {
  Operation *op = node.op;
  QUERN_TRY(checkSizes(node));
  if (isAlias(op, result.values)) {
    result.aliases[op->getResult(0)] = op->getOperand(0);
    need(op->getOperand(0));
    return Status::ok();
  }
  LoweredOp entry;
  entry.op = op;
  entry.nodes = node.nodes;
  if (isa<nn::RunBodiesOp>(op)) {
    entry.runsBodies = true;
    needOperands(entry);
    result.ops.push_back(std::move(entry));
    return Status::ok();
  }
  LoweringResult lowered = lowerOp(op, lowering, result.values);
  if (lowered) {
    entry.steps = lowered.take();
    assert(shareAll(entry.steps) && "the steps of an op do all of its problem, and once");
    QUERN_TRY(countTables(entry));
  } else if (isa<nn::GroupOp>(op)) {
    result.refusedGroups.push_back({op, lowered.reason().at});
    result.refusals.push_back(refusalOf(result.refusedGroups.back(), lowered.reason()));
    return Status::ok();
  } else {
    entry.reason = lowered.reason();
    QUERN_ASSIGN(entry.reference, graph.referenceOf(op));
  }
  entry.cost = costOf(op, result.values);
  needOperands(entry);
  result.ops.push_back(std::move(entry));
  return Status::ok();
}

/// Makes each alias one of what its chain ends with: nobody follows long chains again and again.
void GraphLowering::shortenAliases() {
  for (const OptimizedGraph::Node &node : graph.nodes())
    for (Value value : node.op->getResults())
      if (auto it = result.aliases.find(value); it != result.aliases.end())
        it->second = result.resolve(it->second);
}

Expected<LoweredGraph> GraphLowering::lower() {
  llvm::DenseSet<Value> later;
  for (auto [output, number] : llvm::zip_equal(result.part.outputs, result.part.outputNumbers)) {
    need(output);
    if (!needed.contains(output) || !isDeferred(output) || !later.insert(output).second)
      continue;
    result.later.outputs.push_back(output);
    result.later.outputNumbers.push_back(number);
  }
  for (const OptimizedGraph::Node &node : llvm::reverse(graph.nodes())) {
    // What a refused group reads is not known: all that is left is looked at then, so
    // that all refused groups are found at once.
    if (!isNeeded(node.op) && result.refusedGroups.empty())
      continue;
    if (Status status = limits.deadline.check("lowering the graph"); !status.isOk())
      return status.withContext(nn::nodeContext(node.op));
    if (deferred.contains(node.op))
      passOn(node);
    else
      QUERN_TRY(lowerNode(node));
  }
  std::reverse(result.ops.begin(), result.ops.end());
  std::reverse(result.waiting.begin(), result.waiting.end());
  shortenAliases();
  result.later.inputs.assign(passed.rbegin(), passed.rend());
  for (auto [i, input] : llvm::enumerate(result.later.inputs))
    if (sizeOperands.contains(input))
      result.later.sizeInputs.push_back(i);
  return std::move(result);
}

Expected<LoweredGraph> plan::lowerGraph(const OptimizedGraph &graph, GraphPart part,
                                        const OpLowering &lowering, ShapeEnvironment values,
                                        UnknownSizes unknown, const Limits &limits) {
  GraphLowering graphLowering(graph, std::move(part), lowering, std::move(values), limits);
  if (unknown == UnknownSizes::NextStage)
    graphLowering.deferUnknownSizes();
  return graphLowering.lower();
}
