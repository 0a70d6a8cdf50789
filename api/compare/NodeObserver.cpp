//===- NodeObserver.cpp - compares each op of a plan as it runs -----------===//
#include "api/compare/NodeObserver.h"

#include "backends/interpreter/Interpreter.h"
#include "backends/plan/LowerGraph.h"
#include "ir/FusionGroup.h"
#include "ir/NodeNames.h"
#include "ir/Types.h"
#include "quern/ConvertTensor.h"
#include "runtime/running/FloatEnvironment.h"

#include <algorithm>
#include <cstring>

using namespace quern;

/// Of a group the result of the op in it that gives it; of an op alone its own.
static mlir::OpResult sourceOf(mlir::OpResult result) {
  auto group = llvm::dyn_cast<nn::GroupOp>(result.getOwner());
  if (!group)
    return result;
  mlir::Operation *end = group.getBody().front().getTerminator();
  auto inner = llvm::dyn_cast<mlir::OpResult>(end->getOperand(result.getResultNumber()));
  return inner ? inner : result;
}

static bool isData(mlir::Operation &op) {
  return llvm::isa<nn::ConstantOp, nn::WeightOp, nn::NoneOp>(op);
}

/// All that is computed, each once.
static std::vector<std::string> nodesOf(mlir::Operation *op) {
  std::vector<std::string> names;
  auto add = [&](mlir::Operation &each) {
    for (std::string &name : nn::nodeNames(each.getLoc()))
      if (std::ranges::find(names, name) == names.end())
        names.push_back(std::move(name));
  };
  if (auto group = llvm::dyn_cast<nn::GroupOp>(op)) {
    for (mlir::Operation &inner : group.getBody().front().without_terminator())
      if (!isData(inner))
        add(inner);
  } else {
    add(*op);
  }
  return names;
}

static std::string shortName(mlir::Operation *op) {
  llvm::StringRef name = op->getName().getStringRef();
  name.consume_front("nn.");
  return name.str();
}

/// "conv+relu" of a group, whatever is between them; "add" of an op, and a group without an anchor.
static std::string opsOf(mlir::Operation *op, mlir::Operation *last) {
  mlir::Operation *anchor = llvm::isa<nn::GroupOp>(op) ? nn::groupAnchor(op) : nullptr;
  return (anchor && anchor != last ? shortName(anchor) + "+" : "") + shortName(last);
}

/// Of the floats that are computed with the type whose numbers are furthest apart.
static DType coarsestFloat(mlir::Operation *op) {
  DType coarsest = DType::Undefined;
  auto look = [&](mlir::Value value) {
    DType dtype = llvm::isa<mlir::TensorType>(value.getType())
                      ? nn::dtypeOf(nn::elementTypeOf(value))
                      : DType::Undefined;
    if (dtype == DType::BFloat16 || (dtype == DType::Float16 && coarsest != DType::BFloat16))
      coarsest = dtype;
  };
  op->walk([&](mlir::Operation *each) {
    for (mlir::Value operand : each->getOperands())
      look(operand);
    for (mlir::Value result : each->getResults())
      look(result);
  });
  return coarsest;
}

//===----------------------------------------------------------------------===//
// When a plan is made
//===----------------------------------------------------------------------===//

struct NodeObserver::Observed {
  std::vector<size_t> rows;
  /// Null of what has no native code: it would be compared with itself.
  nn::ReferenceCall reference;
  std::vector<AnyValue> operands;
};

/// Through what has no steps: aliases, and concatenations that are made in place.
std::vector<size_t> NodeObserver::producersOf(const plan::ObservedOp &observed) const {
  std::vector<size_t> producers;
  std::vector<mlir::Operation *> open = {observed.op.op};
  std::set<mlir::Operation *> seen;
  while (!open.empty()) {
    mlir::Operation *op = open.back();
    open.pop_back();
    for (mlir::Value operand : op->getOperands()) {
      mlir::Operation *producer = observed.graph.resolve(operand).getDefiningOp();
      if (!producer || !seen.insert(producer).second)
        continue;
      if (auto at = rowsOf.find(producer); at != rowsOf.end())
        producers.insert(producers.end(), at->second.begin(), at->second.end());
      else
        open.push_back(producer);
    }
  }
  return producers;
}

/// Sums of thousands of products are off by a millionth of the largest magnitude, those by
/// Winograd's algorithm by some more. Where numbers are rounded to 11 or 8 bits in between, one
/// that is off by the least may become its neighbour.
Tolerance NodeObserver::boundOf(mlir::Operation *op) const {
  if (settings.tolerance)
    return *settings.tolerance;
  DType coarsest = settings.isLowered ? DType::BFloat16 : coarsestFloat(op);
  switch (coarsest) {
  case DType::BFloat16:
    return {.relative = 3e-2, .absolute = 0, .ofLargest = 1e-2};
  case DType::Float16:
    return {.relative = 4e-3, .absolute = 0, .ofLargest = 2e-3};
  default:
    return {.relative = 1e-4, .absolute = 0, .ofLargest = 2e-5};
  }
}

size_t NodeObserver::addRow(const plan::ObservedOp &observed, mlir::OpResult value) {
  mlir::OpResult source = sourceOf(value);
  std::vector<std::string> names = nn::nodeNames(source.getOwner()->getLoc());
  Row row;
  row.node.nodes = nodesOf(observed.op.op);
  row.node.node = imported.lastOf(names.empty() ? row.node.nodes : names);
  row.node.result = source.getResultNumber();
  row.node.op = opsOf(observed.op.op, source.getOwner());
  row.node.isNative = !observed.op.reference && !observed.op.runsBodies;
  row.block = nn::layoutOf(value).block;
  if (llvm::isa<mlir::TensorType>(value.getType())) {
    DType dtype = nn::dtypeOf(nn::elementTypeOf(value));
    row.node.bound = boundOf(observed.op.op);
    // Rounded to integers, what is near a half may fall on either side.
    bool mayBeRounded = dtypeBytes(dtype) <= 2 && !isFloat(dtype) && dtype != DType::Bool;
    row.node.integerBound = mayBeRounded ? 1 : 0;
  }
  for (auto [i, output] : llvm::enumerate(observed.graph.part.outputs))
    if (observed.graph.resolve(output) == value)
      row.outputs.push_back(observed.graph.part.outputNumbers[i]);
  row.producers = producersOf(observed);
  // What only moves elements bears the name of what it is done for.
  if (!nn::movesBlocks(source.getOwner()))
    imported.want(row.node.node, row.node.result);
  rows.push_back(std::move(row));
  return rows.size() - 1;
}

plan::StepsAround NodeObserver::observe(const plan::ObservedOp &observed) {
  std::lock_guard lock(mutex);
  auto op = std::make_shared<Observed>();
  // Of other sizes it has the same rows.
  std::vector<size_t> &known = rowsOf[observed.op.op];
  if (known.empty() || rows[known.front()].node.nodes != nodesOf(observed.op.op)) {
    known.clear();
    for (mlir::OpResult result : observed.op.op->getResults())
      known.push_back(addRow(observed, result));
  }
  op->rows = known;
  plan::StepsAround around;
  around.after = [this, op](const ReferenceArguments &results) -> Expected<std::vector<AnyValue>> {
    QUERN_TRY(compare(*op, results));
    return std::vector<AnyValue>();
  };
  if (!observed.op.steps.empty())
    if (Expected<nn::ReferenceCall> call = interpreter::callOf(*observed.op.op)) {
      op->reference = call.take();
      around.before = [op](const ReferenceArguments &operands) -> Expected<std::vector<AnyValue>> {
        op->operands.clear();
        for (size_t i = 0; i < operands.inputs.size(); ++i) {
          op->operands.push_back(operands.inputs[i]);
          QUERN_TRY(op->operands.back().own());
        }
        return std::vector<AnyValue>();
      };
    }
  return around;
}

//===----------------------------------------------------------------------===//
// When it runs
//===----------------------------------------------------------------------===//

static bool isWithin(const TensorDifference &difference, int64_t integerBound) {
  return difference.incomparable.empty() &&
         (difference.mismatches == 0 ||
          (integerBound > 0 && difference.maxAbsolute <= static_cast<double>(integerBound)));
}

bool ComparedNode::passes() const { return isWithin(difference, integerBound); }

void NodeObserver::note(size_t row, const TensorDifference &difference) {
  Row &at = rows[row];
  bool passes = isWithin(difference, at.node.integerBound);
  bool isWorse = at.node.passes()
                     ? !passes || difference.maxAbsolute > at.node.difference.maxAbsolute
                     : !passes && difference.maxAbsolute > at.node.difference.maxAbsolute;
  if (isWorse || at.node.runs == 1)
    at.node.difference = difference;
  if (!passes && !at.failure)
    at.failure = failures++;
}

Status NodeObserver::compare(Observed &op, const ReferenceArguments &found) {
  auto evaluate = [&](bool flushes) -> Expected<std::vector<AnyValue>> {
    FloatEnvironment environment(flushes);
    return op.reference({op.operands, found.budget});
  };
  std::vector<AnyValue> wanted, flushed;
  if (op.reference) {
    QUERN_ASSIGN(wanted, evaluate(false));
  }
  std::lock_guard lock(mutex);
  for (size_t i = 0; i < op.rows.size(); ++i) {
    Row &row = rows[op.rows[i]];
    AnyValue value = found.inputs[i];
    if (!value.isPresent())
      continue;
    if (++row.node.runs == 1) {
      row.node.type = value.describe();
      compareFromStart(op.rows[i], value);
    }
    if (!op.reference)
      continue;
    TensorDifference difference = compareValues(wanted[i], value, row.node.bound);
    if (!isWithin(difference, row.node.integerBound) && settings.flushes) {
      // Native code takes subnormal numbers for zero.
      if (flushed.empty()) {
        QUERN_ASSIGN(flushed, evaluate(true));
      }
      TensorDifference other = compareValues(flushed[i], value, row.node.bound);
      if (isWithin(other, row.node.integerBound))
        difference = other;
    }
    note(op.rows[i], difference);
  }
  op.operands.clear();
  return Status::ok();
}

void NodeObserver::compareFromStart(size_t row, const AnyValue &found) {
  Row &at = rows[row];
  const AnyValue *value = imported.valueOf(at.node.node, at.node.result);
  const Tensor *wanted = value ? value->asTensor() : nullptr;
  const Tensor *tensor = found.asTensor();
  if (!wanted || !tensor)
    return;
  if (std::optional<Tensor> plain = asPlain(*tensor, at.block, *wanted))
    at.node.fromStart = compareTensors(*wanted, *plain, at.node.bound);
}

std::optional<Tensor> quern::asPlain(const Tensor &found, int64_t block, const Tensor &wanted) {
  Tensor plain = found;
  if (block > 0) {
    if (found.rank() < 3 || wanted.rank() != found.rank() - 1 || wanted.dim(0) != found.dim(0) ||
        wanted.dim(1) > found.dim(1) * block)
      return std::nullopt;
    Tensor::Dims dims = wanted.dims();
    Expected<Tensor> made = Tensor::allocate(found.dtype(), dims);
    int64_t plane = 1;
    for (int64_t d = 2; d + 1 < found.rank(); ++d)
      plane *= found.dim(d);
    if (!made || wanted.numElements() != wanted.dim(0) * wanted.dim(1) * plane)
      return std::nullopt;
    int64_t width = dtypeBytes(found.dtype());
    auto *from = static_cast<const std::byte *>(found.rawData());
    auto *to = static_cast<std::byte *>(made->mutableRawData());
    for (int64_t n = 0; n < dims[0]; ++n)
      for (int64_t c = 0; c < dims[1]; ++c)
        for (int64_t i = 0; i < plane; ++i, to += width) {
          int64_t place = ((n * found.dim(1) + c / block) * plane + i) * block + c % block;
          std::memcpy(to, from + place * width, static_cast<size_t>(width));
        }
    plain = made.take();
  }
  if (plain.dims() != wanted.dims())
    return std::nullopt;
  if (plain.dtype() == wanted.dtype())
    return plain;
  if (!isFloat(plain.dtype()) || !isFloat(wanted.dtype()))
    return std::nullopt;
  Expected<Tensor> converted = convertTensor(plain, wanted.dtype());
  return converted ? std::optional<Tensor>(converted.take()) : std::nullopt;
}

//===----------------------------------------------------------------------===//
// What came of it
//===----------------------------------------------------------------------===//

/// From outputs that differ back, as long as values differ or have no counterpart.
std::optional<size_t> NodeObserver::firstOnWay(const std::vector<OutputComparison> &outputs) const {
  std::vector<size_t> open;
  for (size_t i = 0; i < rows.size(); ++i)
    for (unsigned output : rows[i].outputs)
      if (output < outputs.size() && !outputs[output].difference.passes())
        open.push_back(i);
  std::set<size_t> seen(open.begin(), open.end());
  std::optional<size_t> first;
  while (!open.empty()) {
    size_t at = open.back();
    open.pop_back();
    const std::optional<TensorDifference> &difference = rows[at].node.fromStart;
    if (difference && difference->passes())
      continue;
    if (difference && (!first || at < *first))
      first = at;
    for (size_t producer : rows[at].producers)
      if (seen.insert(producer).second)
        open.push_back(producer);
  }
  return first;
}

void NodeObserver::finish(NodeComparison &result) const {
  std::lock_guard lock(mutex);
  std::optional<size_t> faulty;
  for (size_t i = 0; i < rows.size(); ++i)
    if (rows[i].failure && (!faulty || *rows[i].failure < *rows[*faulty].failure))
      faulty = i;
  bool agree = std::ranges::all_of(result.outputs,
                                   [](const OutputComparison &o) { return o.difference.passes(); });
  result.fault = faulty  ? NodeComparison::Fault::Code
                 : agree ? NodeComparison::Fault::None
                         : NodeComparison::Fault::Graph;
  if (result.fault == NodeComparison::Fault::Graph)
    faulty = firstOnWay(result.outputs);
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].node.runs == 0)
      continue;
    if (faulty == i)
      result.first = result.nodes.size();
    result.nodes.push_back(rows[i].node);
  }
}
