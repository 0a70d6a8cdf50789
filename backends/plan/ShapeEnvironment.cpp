//===- ShapeEnvironment.cpp - what is known of values before a run --------------===//
#include "backends/plan/ShapeEnvironment.h"

#include "backends/plan/IndexData.h"
#include "ir/Constants.h"
#include "ir/FusionGroup.h"
#include "ir/NNDialect.h"
#include "ir/ThreadDiagnostics.h"
#include "runtime/running/Budget.h"

#include <functional>
#include <numeric>

using namespace mlir;
using namespace quern;
using namespace quern::plan;

DType plan::dtypeOfValue(Value value) { return nn::dtypeOf(nn::elementTypeOf(value)); }

int64_t plan::productOf(ArrayRef<int64_t> sizes) {
  return std::accumulate(sizes.begin(), sizes.end(), int64_t{1}, std::multiplies<>());
}

/// The work, in units of Budget, and the bytes that computing one of them may take: a sum over a
/// large weight is left to the run.
static constexpr int64_t kMaxIndexWork = int64_t{1} << 22;

//===----------------------------------------------------------------------===//
// Sizes
//===----------------------------------------------------------------------===//

ShapeEnvironment::MaybeSizes ShapeEnvironment::findSizes(Value value) const {
  if (graph) {
    const OptimizedGraph::ValueFacts &facts = graph->factsOf(value);
    return facts.sizes ? facts.sizes : sizes[facts.number];
  }
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.hasStaticShape() ? MaybeSizes(type.getShape()) : std::nullopt;
}

bool ShapeEnvironment::hasSizes(Value value) const { return findSizes(value).has_value(); }

int64_t ShapeEnvironment::axisOf(Operation *op) const {
  int64_t axis = cast<nn::AxisOpInterface>(op).getAxis();
  return axis < 0 ? axis + static_cast<int64_t>(sizesOf(op->getOperand(0)).size()) : axis;
}

ArrayRef<int64_t> ShapeEnvironment::sizesOf(Value value) const {
  MaybeSizes found = findSizes(value);
  assert(found && "the sizes of a value are asked for before they are known");
  return *found;
}

void ShapeEnvironment::setSizes(Value value, ArrayRef<int64_t> found) {
  const OptimizedGraph::ValueFacts &facts = graph->factsOf(value);
  if (!facts.sizes)
    sizes[facts.number] = found.copy(storage);
}

void ShapeEnvironment::setElements(Value value, Tensor elements) {
  tensors[graph->factsOf(value).indexNumber] = std::move(elements);
}

std::optional<nn::Shape> ShapeEnvironment::shapeOf(Value value) const {
  MaybeSizes found = findSizes(value);
  return found ? std::optional(nn::Shape::fromSizes(*found)) : std::nullopt;
}

namespace {
/// Notes the values whose elements a rule asks for in vain.
class NotingFacts : public nn::ShapeFacts {
public:
  explicit NotingFacts(const ShapeEnvironment &values) : values(values) {}

  std::optional<nn::Shape> shapeOf(Value value) const override { return values.shapeOf(value); }
  std::optional<Tensor> tensorOf(Value value) const override {
    return noted(value, values.tensorOf(value));
  }
  std::optional<nn::DimVector> dimsIn(Value value) const override {
    return noted(value, values.dimsIn(value));
  }

  mutable llvm::SmallVector<Value, 2> missing;

private:
  template <typename T> std::optional<T> noted(Value value, std::optional<T> found) const {
    if (!found && !llvm::is_contained(missing, value))
      missing.push_back(value);
    return found;
  }

  const ShapeEnvironment &values;
};
} // namespace

/// Keeps what `op`, a node of the graph or in a group that is one, has asked for, when
/// an earlier step can tell it.
void ShapeEnvironment::noteSizeOperands(Operation *op, ArrayRef<Value> asked) {
  auto group = dyn_cast<nn::GroupOp>(op->getParentOp());
  llvm::SmallVector<Value, 2> operands;
  for (Value value : asked) {
    Value outer = group ? nn::outerValue(group, value) : value;
    bool isTold = graph->factsOf(outer).isIndexData && hasSizes(outer) &&
                  elementsOf(outer) <= kMaxIndexElements &&
                  llvm::is_contained((group ? group : op)->getOperands(), outer);
    if (!isTold)
      return;
    operands.push_back(outer);
  }
  sizeOperands[group ? group : op] = std::move(operands);
}

ArrayRef<Value> ShapeEnvironment::sizeOperandsOf(Operation *op) const {
  auto at = sizeOperands.find(op);
  return at == sizeOperands.end() ? ArrayRef<Value>() : ArrayRef<Value>(at->second);
}

/// Runs the shape rule of one op; results that it cannot tell stay without sizes.
LogicalResult ShapeEnvironment::applyRule(Operation *op) {
  auto graphOp = dyn_cast<nn::GraphOpInterface>(op);
  auto isStatic = [&](Value v) { return graph->factsOf(v).sizes.has_value(); };
  auto isKnown = [&](Value v) { return hasSizes(v) || nn::isNone(v); };
  // What types have not checked: elements that are not constants.
  auto isChecked = [&](Value v) {
    const OptimizedGraph::ValueFacts &facts = graph->factsOf(v);
    return nn::isNone(v) || (facts.sizes && (facts.weight || !facts.isIndexData));
  };
  if (!graphOp || !llvm::all_of(op->getOperands(), isKnown) ||
      (llvm::all_of(op->getOperands(), isChecked) && llvm::all_of(op->getResults(), isStatic)))
    return success();
  NotingFacts facts(*this);
  nn::InferredTypes types = graphOp.inferResultTypes(facts);
  if (failed(types))
    return failure();
  for (auto [result, type] : llvm::zip(op->getResults(), *types)) {
    std::optional<std::vector<int64_t>> found;
    if (type.shape)
      found = type.shape->sizes();
    if (found)
      setSizes(result, *found);
    // The elements tell the sizes, or whether they are right.
    if (!facts.missing.empty() && (found || !hasSizes(result)))
      noteSizeOperands(op, facts.missing);
  }
  return success();
}

Operation *ShapeEnvironment::inferOp(Operation *op) {
  auto group = dyn_cast<nn::GroupOp>(op);
  if (!group)
    return succeeded(applyRule(op)) ? nullptr : op;
  Block &body = group.getBody().front();
  for (auto [argument, operand] : llvm::zip(body.getArguments(), group.getInputs()))
    if (MaybeSizes found = findSizes(operand))
      setSizes(argument, *found);
  for (Operation &inner : body.without_terminator())
    if (failed(applyRule(&inner)))
      return &inner;
  for (auto [result, yielded] : llvm::zip(group.getResults(), body.getTerminator()->getOperands()))
    if (MaybeSizes found = findSizes(yielded))
      setSizes(result, *found);
  return nullptr;
}

/// Takes over what was inferred of a node that is alike, where both are given the same sizes.
bool ShapeEnvironment::inferAsModel(size_t node) {
  const AlikeNodes &alike = graph->alike();
  size_t model = alike.modelOf(node);
  if (model == node || alike.readsElements(node))
    return false;
  Operation *op = graph->nodes()[model].op;
  ArrayRef<uint32_t> from = alike.valuesOf(model), to = alike.valuesOf(node);
  size_t operands = op->getNumOperands();
  if (sizeOperands.count(op))
    return false;
  for (size_t i = 0; i < operands; ++i)
    if (sizesAt(from[i]) != sizesAt(to[i]))
      return false;
  for (size_t i = operands; i < to.size(); ++i)
    sizes[to[i]] = sizes[from[i]];
  return true;
}

Status ShapeEnvironment::inferSizes(llvm::function_ref<Status(Operation *)> visit) {
  nn::ThreadDiagnostics errors(graph->main().getContext());
  // What was not known before may be now.
  sizeOperands.clear();
  for (std::optional<Tensor> &kept : tensors)
    if (kept && !kept->isPresent())
      kept.reset();
  // Where types tell all sizes, the passes have checked all rules.
  bool hasAlike = !graph->openValues().empty();
  for (auto [i, node] : llvm::enumerate(graph->nodes())) {
    bool isInferred = hasAlike && (graph->alike().isSettled(i) || inferAsModel(i));
    if (!isInferred) {
      if (Status status = deadline.check("inferring sizes"); !status.isOk())
        return status.withContext(nn::nodeContext(node.op));
      if (Operation *broken = inferOp(node.op))
        return invalidInput(errors.messages()).withContext(nn::nodeContext(broken));
    }
    if (visit)
      QUERN_TRY(visit(node.op));
  }
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Elements
//===----------------------------------------------------------------------===//

bool ShapeEnvironment::isComputable(Operation *op) const {
  if (isa<nn::NoneOp>(op) || (op->getNumRegions() > 0 && !isa<nn::GroupOp>(op)))
    return false;
  return llvm::all_of(op->getResults(), [&](Value result) {
    return graph->factsOf(result).isIndexData && hasSizes(result) &&
           elementsOf(result) <= kMaxIndexElements;
  });
}

/// The op that must be computed before anything is known of a value's elements, if they can be
/// computed and have not been.
Operation *ShapeEnvironment::opToCompute(Value value) const {
  const OptimizedGraph::ValueFacts &facts = graph->factsOf(value);
  if (facts.weight || !facts.isIndexData || tensors[facts.indexNumber])
    return nullptr;
  Operation *op = value.getDefiningOp();
  return op && isComputable(op) ? op : nullptr;
}

/// An op that waits for what it reads.
struct ShapeEnvironment::Pending {
  Operation *op;
  /// Counts its operands; of a group, then what it yields.
  size_t next = 0;
};

/// The op to compute before a pending one goes on; null when that can be computed itself, or
/// cannot be because an operand is unknown.
Operation *ShapeEnvironment::nextToCompute(Pending &pending) const {
  Operation *op = pending.op;
  if (isa<nn::ShapeOp>(op))
    return nullptr;
  auto group = dyn_cast<nn::GroupOp>(op);
  for (; pending.next < op->getNumOperands(); ++pending.next) {
    Value operand = op->getOperand(pending.next);
    if (nn::isNone(operand))
      continue;
    if (Operation *before = opToCompute(operand))
      return before;
    if (group) {
      Value argument = group.getBody().getArgument(pending.next);
      const OptimizedGraph::ValueFacts &facts = graph->factsOf(argument);
      if (std::optional<Tensor> tensor = tensorOf(operand); tensor && facts.isIndexData)
        tensors[facts.indexNumber] = std::move(*tensor);
    } else if (!isKnown(operand)) {
      return nullptr;
    }
  }
  if (!group)
    return nullptr;
  ValueRange yielded = group.getBody().front().getTerminator()->getOperands();
  for (; pending.next - op->getNumOperands() < yielded.size(); ++pending.next)
    if (Operation *inner = opToCompute(yielded[pending.next - op->getNumOperands()]))
      return inner;
  return nullptr;
}

/// Computes an op and all that it depends on, without recursion: chains are as long as the
/// model's author likes.
void ShapeEnvironment::computeChain(Operation *last) const {
  llvm::SmallVector<Pending> pending = {{last}};
  while (!pending.empty()) {
    if (Operation *before = nextToCompute(pending.back())) {
      pending.push_back({before});
      continue;
    }
    Operation *op = pending.pop_back_val().op;
    std::optional<Tensors> results = compute(op);
    for (auto [i, result] : llvm::enumerate(op->getResults()))
      tensors[graph->factsOf(result).indexNumber] = results ? (*results)[i] : Tensor();
  }
}

std::optional<ShapeEnvironment::Tensors> ShapeEnvironment::computeGroup(Operation *group) const {
  Tensors results;
  for (Value yielded : cast<nn::GroupOp>(group).getBody().front().getTerminator()->getOperands()) {
    std::optional<Tensor> tensor = tensorOf(yielded);
    if (!tensor)
      return std::nullopt;
    results.push_back(*tensor);
  }
  return results;
}

/// Of an op whose operands have been computed.
std::optional<ShapeEnvironment::Tensors> ShapeEnvironment::compute(Operation *op) const {
  // Sizes are known, whatever the elements are.
  if (auto shape = dyn_cast<nn::ShapeOp>(op)) {
    if (!hasSizes(shape.getInput()))
      return std::nullopt;
    return Tensors{Tensor::ofInts(shape.select(std::vector<int64_t>(sizesOf(shape.getInput()))))};
  }
  if (isa<nn::GroupOp>(op))
    return computeGroup(op);
  std::vector<Tensor> operands;
  for (Value operand : op->getOperands()) {
    std::optional<Tensor> tensor =
        nn::isNone(operand) ? std::optional(Tensor()) : tensorOf(operand);
    if (!tensor)
      return std::nullopt;
    operands.push_back(std::move(*tensor));
  }
  auto call = graph->referenceOf(op);
  if (!call)
    return std::nullopt;
  // An error is the run's to report, if it gets there; and much work is the run's to do.
  Limits limits;
  limits.deadline = deadline;
  limits.maxActivationBytes = kMaxIndexWork;
  Budget budget(limits, /*cancelled=*/nullptr, "computing sizes", kMaxIndexWork);
  auto values = (*call)({operands, budget});
  auto results = values ? tensorsOf(values.take()) : Expected<std::vector<Tensor>>(values.status());
  return results ? std::optional(Tensors(results->begin(), results->end())) : std::nullopt;
}

std::optional<Tensor> ShapeEnvironment::tensorOf(Value value) const {
  if (!graph)
    return nn::constantTensor(value);
  const OptimizedGraph::ValueFacts &facts = graph->factsOf(value);
  if (facts.weight) {
    Expected<Tensor> tensor = facts.weight->load();
    return tensor ? std::optional(tensor.take()) : std::nullopt;
  }
  if (!facts.isIndexData)
    return std::nullopt;
  if (Operation *op = opToCompute(value))
    computeChain(op);
  const std::optional<Tensor> &kept = tensors[facts.indexNumber];
  return kept && kept->isPresent() ? kept : std::nullopt;
}

bool ShapeEnvironment::isKnown(Value value) const {
  if (!graph)
    return nn::isConstant(value);
  const OptimizedGraph::ValueFacts &facts = graph->factsOf(value);
  return facts.weight || (facts.isIndexData && tensorOf(value));
}

std::optional<nn::WeightSource> ShapeEnvironment::weightOf(Value value) const {
  if (!graph)
    return nn::weightSource(value);
  if (const nn::WeightSource *weight = graph->factsOf(value).weight)
    return *weight;
  std::optional<Tensor> tensor = tensorOf(value);
  return tensor ? std::optional(nn::WeightSource::of(*tensor)) : std::nullopt;
}

std::optional<nn::DimVector> ShapeEnvironment::dimsIn(Value value) const {
  std::optional<std::vector<int64_t>> integers = integersOf(value);
  if (!integers)
    return std::nullopt;
  nn::DimVector dims;
  for (int64_t integer : *integers)
    dims.push_back(integer >= 0 ? nn::Dim(integer) : nn::Dim());
  return dims;
}
