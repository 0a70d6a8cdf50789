//===- ValueTable.cpp - what is known of values before a run --------------===//
#include "backends/plan/ValueTable.h"

#include "ir/FusionGroup.h"
#include "ir/NNDialect.h"
#include "ir/Weights.h"
#include "runtime/lib/Budget.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/Threading.h"

#include <functional>
#include <numeric>

using namespace mlir;
using namespace quern;
using namespace quern::plan;

DType plan::dtypeOfValue(Value value) {
  return nn::dtypeOf(cast<TensorType>(value.getType()).getElementType());
}

int64_t plan::productOf(ArrayRef<int64_t> sizes) {
  return std::accumulate(sizes.begin(), sizes.end(), int64_t{1}, std::multiplies<>());
}

//===----------------------------------------------------------------------===//
// Sizes
//===----------------------------------------------------------------------===//

/// The type of a value whose sizes are part of it, or null.
static RankedTensorType staticType(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.hasStaticShape() ? type : RankedTensorType();
}

bool ValueTable::hasSizes(Value value) const { return staticType(value) || sizes.count(value); }

ArrayRef<int64_t> ValueTable::sizesOf(Value value) const {
  if (RankedTensorType type = staticType(value))
    return type.getShape();
  auto at = sizes.find(value);
  assert(at != sizes.end() && "the sizes of a value are asked for before they are known");
  return at->second;
}

void ValueTable::setSizes(Value value, ArrayRef<int64_t> found) {
  if (staticType(value))
    return;
  // `found` may lie in the table, which may move.
  llvm::SmallVector<int64_t, 6> copy(found);
  sizes[value] = std::move(copy);
}

std::optional<nn::Shape> ValueTable::shapeOf(Value value) const {
  return hasSizes(value) ? std::optional(nn::Shape::fromSizes(sizesOf(value))) : std::nullopt;
}

/// Whether the sizes of `op` need no looking at.
static bool isStatic(Operation *op) {
  auto known = [](Value v) { return nn::isNone(v) || staticType(v); };
  return llvm::all_of(op->getOperands(), known) && llvm::all_of(op->getResults(), known);
}

/// Runs the shape rule of one op; results that it cannot tell stay without sizes.
LogicalResult ValueTable::applyRule(Operation *op) {
  auto graphOp = dyn_cast<nn::GraphOpInterface>(op);
  auto known = [&](Value v) { return nn::isNone(v) || hasSizes(v); };
  if (!graphOp || !llvm::all_of(op->getOperands(), known))
    return success();
  nn::InferredTypes types = graphOp.inferResultTypes(*this);
  if (failed(types))
    return failure();
  for (auto [result, type] : llvm::zip(op->getResults(), *types)) {
    std::optional<std::vector<int64_t>> found;
    if (type.shape)
      found = type.shape->sizes();
    if (found)
      setSizes(result, *found);
  }
  return success();
}

Status ValueTable::inferOp(Operation *op) {
  auto group = dyn_cast<nn::GroupOp>(op);
  if (!group && isStatic(op))
    return Status::ok();
  // Several threads may use the context: each takes what is its own.
  std::string error;
  uint64_t thread = llvm::get_threadid();
  ScopedDiagnosticHandler handler(op->getContext(), [&](Diagnostic &diagnostic) {
    if (llvm::get_threadid() != thread)
      return failure();
    error = diagnostic.str();
    return success();
  });
  if (!group)
    return succeeded(applyRule(op)) ? Status::ok()
                                    : invalidInput(error).withContext(nn::nodeContext(op));
  Block &body = group.getBody().front();
  for (auto [argument, operand] : llvm::zip(body.getArguments(), group.getInputs()))
    if (!nn::isNone(operand) && hasSizes(operand))
      setSizes(argument, sizesOf(operand));
  for (Operation &inner : body.without_terminator())
    if (!isStatic(&inner) && failed(applyRule(&inner)))
      return invalidInput(error).withContext(nn::nodeContext(&inner));
  for (auto [result, yielded] : llvm::zip(group.getResults(), body.getTerminator()->getOperands()))
    if (hasSizes(yielded))
      setSizes(result, sizesOf(yielded));
  return Status::ok();
}

Status ValueTable::inferSizes() {
  for (const OptimizedGraph::Node &node : graph->nodes())
    QUERN_TRY(inferOp(node.op));
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Elements
//===----------------------------------------------------------------------===//

/// What sizes are made of, and no more work than making them is.
static bool mayBeShapeData(DType dtype, int64_t elements) {
  constexpr int64_t kMaxElements = 64;
  return elements <= kMaxElements &&
         (dtype == DType::Int64 || dtype == DType::Int32 || dtype == DType::Bool);
}

bool ValueTable::isComputable(Operation *op) const {
  if (!graph || isa<nn::ConstantOp, nn::WeightOp, nn::NoneOp>(op) ||
      (op->getNumRegions() > 0 && !isa<nn::GroupOp>(op)))
    return false;
  return llvm::all_of(op->getResults(), [&](Value result) {
    return isa<RankedTensorType>(result.getType()) && hasSizes(result) &&
           mayBeShapeData(dtypeOfValue(result), elementsOf(result));
  });
}

/// What nn.shape and nn.size say of known sizes, whatever the elements are.
static std::optional<Tensor> tensorOfSizes(Operation *op, ArrayRef<int64_t> sizes) {
  if (isa<nn::SizeOp>(op))
    return Tensor::of<int64_t>({}, {productOf(sizes)});
  auto shape = dyn_cast<nn::ShapeOp>(op);
  if (!shape)
    return std::nullopt;
  return Tensor::ofInts(shape.select(std::vector<int64_t>(sizes)));
}

std::optional<ValueTable::Tensors> ValueTable::computeGroup(Operation *group) const {
  Block &body = cast<nn::GroupOp>(group).getBody().front();
  for (auto [argument, operand] : llvm::zip(body.getArguments(), group->getOperands()))
    if (std::optional<Tensor> tensor = tensorOf(operand))
      tensors[argument] = *tensor;
  Tensors results;
  for (Value yielded : body.getTerminator()->getOperands()) {
    std::optional<Tensor> tensor = tensorOf(yielded);
    if (!tensor)
      return std::nullopt;
    results.push_back(*tensor);
  }
  return results;
}

std::optional<ValueTable::Tensors> ValueTable::compute(Operation *op) const {
  if (isa<nn::ShapeOp, nn::SizeOp>(op))
    return hasSizes(op->getOperand(0))
               ? std::optional(Tensors{*tensorOfSizes(op, sizesOf(op->getOperand(0)))})
               : std::nullopt;
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
  // An error is the run's to report, if it gets there.
  Budget budget{Limits()};
  auto values = (*call)({operands, budget});
  auto results = values ? tensorsOf(values.take()) : Expected<std::vector<Tensor>>(values.status());
  return results ? std::optional(Tensors(results->begin(), results->end())) : std::nullopt;
}

std::optional<Tensor> ValueTable::tensorOf(Value value) const {
  auto found = [](const Tensor &tensor) {
    return tensor.isPresent() ? std::optional(tensor) : std::nullopt;
  };
  if (auto at = tensors.find(value); at != tensors.end())
    return found(at->second);
  if (!graph)
    return nn::constantTensor(value);
  if (const nn::WeightSource *weight = graph->weightOf(value)) {
    Expected<Tensor> tensor = weight->load();
    return tensor ? std::optional(tensor.take()) : std::nullopt;
  }
  Operation *op = value.getDefiningOp();
  if (!op || !isComputable(op))
    return std::nullopt;
  std::optional<Tensors> results = compute(op);
  for (auto [i, result] : llvm::enumerate(op->getResults()))
    tensors[result] = results ? (*results)[i] : Tensor();
  return found(tensors[value]);
}

bool ValueTable::isKnown(Value value) const {
  return graph ? graph->weightOf(value) || tensorOf(value) : nn::isConstant(value);
}

std::optional<nn::WeightSource> ValueTable::weightOf(Value value) const {
  const nn::WeightSource *weight = graph ? graph->weightOf(value) : nullptr;
  if (weight)
    return *weight;
  if (!graph)
    return nn::weightSource(value);
  std::optional<Tensor> tensor = tensorOf(value);
  return tensor ? std::optional(nn::WeightSource::of(*tensor)) : std::nullopt;
}

std::optional<nn::DimVector> ValueTable::dimsIn(Value value) const {
  std::optional<std::vector<int64_t>> integers = integersOf(value);
  if (!integers)
    return std::nullopt;
  nn::DimVector dims;
  for (int64_t integer : *integers)
    dims.push_back(integer >= 0 ? nn::Dim(integer) : nn::Dim());
  return dims;
}
