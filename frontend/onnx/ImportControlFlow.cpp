//===- ImportControlFlow.cpp - branches and loops -------------------------===//
#include "frontend/onnx/CarriedValues.h"
#include "frontend/onnx/NodeReader.h"
#include "frontend/onnx/OpsetTable.h"
#include "ir/ControlFlow.h"
#include "ir/OutlinedOps.h"
#include "ir/SequenceOps.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::onnx;
using mlir::Block;
using mlir::OperationState;
using mlir::Region;
using mlir::Type;
using mlir::Value;

/// Attempts to find the types of carried values: see widenMore.
static constexpr int kAttempts = 5;

/// Fills a new block of `region`. What the body yields; empty when that failed, and
/// then the node knows why.
static llvm::SmallVector<Value> importBody(NodeReader &node, const proto::GraphProto &body,
                                           Region &region, llvm::ArrayRef<Type> arguments) {
  if (body.input_size() != static_cast<int>(arguments.size())) {
    node.invalid(
        fmt::format("the body has {} inputs, expected {}", body.input_size(), arguments.size()));
    return {};
  }
  Block &block = region.emplaceBlock();
  for (Type type : arguments)
    block.addArgument(type, node.loc());
  auto yielded = node.graph().importBody(body, node.scope(), block);
  if (!yielded) {
    node.fail(yielded.status());
    return {};
  }
  mlir::OpBuilder::InsertionGuard guard(node.builder());
  node.builder().setInsertionPointToEnd(&block);
  node.builder().create<nn::YieldOp>(node.loc(), *yielded);
  return yielded.take();
}

static void setOutputs(NodeReader &node, mlir::ResultRange results) {
  if (node.outputCount() > static_cast<int>(results.size()))
    return node.invalid(
        fmt::format("has {} outputs, the body gives {}", node.outputCount(), results.size()));
  for (int i = 0; i < node.outputCount(); ++i)
    node.setOutput(i, results[static_cast<size_t>(i)]);
}

namespace {
/// A branch, or why it cannot be run.
struct Branch {
  const proto::GraphProto *proto = nullptr;
  Region *region = nullptr;
  llvm::SmallVector<Value> results = {};
  /// Of a node whose operands break the rule of an op.
  Status broken = {};
};
} // namespace

/// Imports a branch; one in which a node breaks a rule is left empty.
static void importBranch(NodeReader &node, Branch &branch) {
  Block &block = branch.region->emplaceBlock();
  ++node.graph().openBranches;
  auto yielded = node.graph().importBody(*branch.proto, node.scope(), block);
  --node.graph().openBranches;
  if (yielded) {
    branch.results = yielded.take();
    return;
  }
  // Anything else would be wrong in any case.
  if (!node.graph().breaksRule(yielded.status()))
    return node.fail(yielded.status());
  branch.broken = yielded.status();
  block.clear();
}

/// Ends the branch; a broken one with an error in place of what it yields, whose types
/// are those of the other branch.
static void finishBranch(NodeReader &node, Branch &branch, const Branch &other) {
  mlir::OpBuilder::InsertionGuard guard(node.builder());
  node.builder().setInsertionPointToEnd(&branch.region->front());
  if (!branch.broken.isOk()) {
    auto fail = node.builder().create<nn::FailOp>(
        node.loc(), mlir::ValueRange(other.results).getTypes(), branch.broken.message());
    branch.results.assign(fail.result_begin(), fail.result_end());
  }
  node.builder().create<nn::YieldOp>(node.loc(), branch.results);
}

static void importIf(NodeReader &node) {
  OperationState state(node.loc(), nn::IfOp::getOperationName());
  state.addOperands(node.input(0));
  Branch branches[2];
  for (auto [name, branch] :
       {std::pair("then_branch", &branches[0]), std::pair("else_branch", &branches[1])}) {
    branch->proto = node.getGraph(name);
    if (!branch->proto)
      return;
    if (branch->proto->input_size() != 0)
      return node.invalid("a branch has inputs");
    branch->region = state.addRegion();
    importBranch(node, *branch);
  }
  if (node.failed()) // only now: problems of both branches are told at once
    return;
  auto &[first, second] = branches;
  if (!first.broken.isOk() && !second.broken.isOk()) {
    // In a branch itself, it is that one that is broken: see GraphImport::breaksRule.
    node.graph().diagnostics = first.broken.message();
    return node.fail(first.broken);
  }
  finishBranch(node, first, second);
  finishBranch(node, second, first);
  setOutputs(node, node.createMulti(state, first.results.size()));
}

/// The type of which a carried value and the next one are. A value in place of an optional
/// one is what is in the next optional.
static Type widenCarried(Type argument, Type next) {
  auto optional = mlir::dyn_cast<nn::OptionalType>(argument);
  if (!optional || mlir::isa<nn::OptionalType>(next))
    return nn::joinTypes(argument, next);
  Type content = nn::joinTypes(optional.getContentType(), next);
  return content ? nn::OptionalType::get(content.getContext(), content) : Type();
}

/// After an attempt that has found some types to be too narrow: what `wide` says of these.
/// A size that changes changes those computed from it an iteration later, one by one: so the
/// attempt before the last knows no sizes of what depends on them, and the last no ranks.
static void widenMore(int attempt, const CarriedValues &carried, llvm::ArrayRef<Type> wide,
                      llvm::MutableArrayRef<Type> arguments) {
  std::vector<bool> changed(carried.count);
  for (size_t i = 0; i < carried.count; ++i) {
    changed[i] = static_cast<bool>(wide[i]);
    if (wide[i])
      arguments[carried.firstInput + i] = wide[i];
  }
  if (attempt + 2 < kAttempts)
    return;
  carried.addDependents(changed);
  for (size_t i = 0; i < carried.count; ++i) {
    Type &argument = arguments[carried.firstInput + i];
    if (changed[i])
      argument =
          attempt + 2 == kAttempts ? nn::withoutSizes(argument) : nn::withoutShapes(argument);
  }
}

/// Imports the body of a loop: again, with wider types of the carried values, until
/// those that it yields fit.
static size_t importLoopBody(NodeReader &node, const CarriedValues &carried, Region &region,
                             llvm::SmallVector<Type> arguments) {
  size_t wanted = carried.firstOutput + carried.count;
  for (int attempt = 1; attempt <= kAttempts; ++attempt) {
    region.dropAllReferences();
    region.getBlocks().clear();
    llvm::SmallVector<Value> yielded = importBody(node, carried.body, region, arguments);
    if (node.failed())
      return 0;
    if (yielded.size() < wanted) {
      node.invalid(
          fmt::format("the body has {} outputs, need at least {}", yielded.size(), wanted));
      return 0;
    }
    bool fits = true;
    llvm::SmallVector<Type> wide(carried.count);
    for (size_t i = 0; i < carried.count; ++i) {
      Type argument = arguments[carried.firstInput + i];
      Type type = widenCarried(argument, yielded[carried.firstOutput + i].getType());
      if (!type || type == argument) // null: the op's verifier says it
        continue;
      wide[i] = type;
      fits = false;
    }
    if (fits)
      return yielded.size() - carried.firstOutput;
    widenMore(attempt, carried, wide, arguments);
  }
  node.invalid("the types of the carried values cannot be found");
  return 0;
}

/// Makes optionals of what `body` yields in place of some; the results that the model takes
/// for what is in them.
static llvm::SmallVector<size_t> wrapOptionals(NodeReader &node, Block &body, size_t carried) {
  llvm::SmallVector<size_t> wrapped;
  mlir::Operation *yield = body.getTerminator();
  mlir::OpBuilder builder(yield);
  for (size_t i = 0; i < carried; ++i) {
    auto type = mlir::dyn_cast<nn::OptionalType>(body.getArgument(i + 2).getType());
    Value next = yield->getOperand(i + 1);
    if (!type || mlir::isa<nn::OptionalType>(next.getType()))
      continue;
    yield->setOperand(i + 1, builder.create<nn::OptionalOp>(node.loc(), type, next));
    wrapped.push_back(i);
  }
  return wrapped;
}

/// The type of the iteration number or the condition, an input of the body: of shape [1] where
/// the body declares a rank, whatever sizes it names, as ONNX Runtime has it; else a scalar.
static Type loopScalarType(const proto::GraphProto &body, int input, Type element) {
  bool isVector =
      input < body.input_size() && body.input(input).type().tensor_type().shape().dim_size() > 0;
  llvm::SmallVector<int64_t, 1> dims(isVector ? 1 : 0, 1);
  return mlir::RankedTensorType::get(dims, element);
}

static void importLoop(NodeReader &node) {
  const proto::GraphProto *body = node.getGraph("body");
  if (!body)
    return;
  mlir::Builder &builder = node.builder();
  llvm::SmallVector<Type> arguments = {loopScalarType(*body, 0, builder.getI64Type()),
                                       loopScalarType(*body, 1, builder.getI1Type())};
  OperationState state(node.loc(), nn::LoopOp::getOperationName());
  state.addOperands({node.input(0), node.input(1)});
  for (int i = 2; i < node.inputCount(); ++i) {
    if (!node.hasInput(i))
      return node.invalid(fmt::format("input {} is required but left out", i));
    state.addOperands(node.input(i));
    arguments.push_back(node.input(i).getType());
  }
  size_t carried = arguments.size() - 2;
  size_t results = importLoopBody(node, {*body, 2, 1, carried}, *state.addRegion(), arguments);
  if (node.failed())
    return;
  llvm::SmallVector<size_t> wrapped = wrapOptionals(node, state.regions.front()->front(), carried);
  mlir::ResultRange loop = node.createMulti(state, results);
  setOutputs(node, loop);
  for (size_t i : wrapped)
    if (node.hasOutput(static_cast<int>(i)))
      node.setOutput(static_cast<int>(i), node.create<nn::OptionalGetOp>(loop[i]));
}

/// A list attribute with one entry for each of `count`, 0 by default.
static std::vector<int64_t> intsFor(NodeReader &node, const char *name, size_t count) {
  std::vector<int64_t> values = node.getInts(name);
  if (values.empty())
    values.assign(count, 0);
  if (values.size() != count)
    node.invalid(fmt::format("attribute '{}' has {} entries, need {}", name, values.size(), count));
  return values;
}

/// The type of a slice along `axis`.
static Type sliceType(NodeReader &node, Value input, int64_t axis) {
  std::optional<nn::Shape> shape = nn::shapeOf(input);
  if (!shape)
    return input.getType();
  if (axis < -shape->rank() || axis >= shape->rank()) {
    node.invalid(
        fmt::format("attribute 'scan_input_axes': {} is no dimension of a tensor of rank {}", axis,
                    shape->rank()));
    return input.getType();
  }
  nn::DimVector dims = shape->dims();
  dims.erase(dims.begin() + (axis < 0 ? axis + shape->rank() : axis));
  return nn::tensorType(nn::Shape(std::move(dims)), nn::elementTypeOf(input));
}

/// The attributes of a scan whose slices and results are along these axes.
static void setScanAttributes(NodeReader &node, OperationState &state, llvm::ArrayRef<int64_t> axes,
                              llvm::ArrayRef<int64_t> directions,
                              llvm::ArrayRef<int64_t> outputAxes,
                              llvm::ArrayRef<int64_t> outputDirections) {
  mlir::Builder &builder = node.builder();
  state.addAttribute("input_axes", builder.getDenseI64ArrayAttr(axes));
  state.addAttribute("input_directions", builder.getDenseI64ArrayAttr(directions));
  state.addAttribute("output_axes", builder.getDenseI64ArrayAttr(outputAxes));
  state.addAttribute("output_directions", builder.getDenseI64ArrayAttr(outputDirections));
}

static void importScan(NodeReader &node) {
  const proto::GraphProto *body = node.getGraph("body");
  int64_t scanned = node.getInt("num_scan_inputs");
  if (node.failed())
    return;
  if (scanned < 1 || scanned > node.inputCount())
    return node.invalid(fmt::format("attribute 'num_scan_inputs' is {}, the node has {} inputs",
                                    scanned, node.inputCount()));
  auto slices = static_cast<size_t>(scanned);
  size_t states = static_cast<size_t>(node.inputCount()) - slices;
  std::vector<int64_t> axes = intsFor(node, "scan_input_axes", slices);
  std::vector<int64_t> directions = intsFor(node, "scan_input_directions", slices);
  if (body->output_size() < static_cast<int>(states))
    return node.invalid(
        fmt::format("the body has {} outputs, need at least {}", body->output_size(), states));
  size_t collected = static_cast<size_t>(body->output_size()) - states;
  std::vector<int64_t> outputAxes = intsFor(node, "scan_output_axes", collected);
  std::vector<int64_t> outputDirections = intsFor(node, "scan_output_directions", collected);
  if (node.failed())
    return;
  OperationState state(node.loc(), nn::ScanOp::getOperationName());
  state.addOperands(node.allInputs());
  llvm::SmallVector<Type> arguments;
  for (size_t i = 0; i < states + slices; ++i) {
    Value input = node.allInputs()[i];
    arguments.push_back(i < states ? input.getType() : sliceType(node, input, axes[i - states]));
  }
  if (node.failed())
    return;
  size_t results = importLoopBody(node, {*body, 0, 0, states}, *state.addRegion(), arguments);
  if (node.failed())
    return;
  setScanAttributes(node, state, axes, directions, outputAxes, outputDirections);
  setOutputs(node, node.createMulti(state, results));
}

//===----------------------------------------------------------------------===//
// Scan of opset 8
//===----------------------------------------------------------------------===//

/// The first `length` slices of a sequence.
static Value cutSequence(NodeReader &node, Value sequence, Value length) {
  return node.create<nn::SliceOp>(sequence, node.intsConstant({0}), length, node.intsConstant({0}),
                                  node.none());
}

/// What was collected of a sequence, with zeros for slices that are beyond its length.
static Value padSequence(NodeReader &node, Value collected, Value missing) {
  std::optional<nn::Shape> shape = nn::shapeOf(collected);
  if (!shape || shape->rank() == 0) {
    node.unsupported("sequence_lens, when the rank of what is collected is unknown");
    return collected;
  }
  std::vector<int64_t> zeros(static_cast<size_t>(shape->rank()), 0);
  Value before = node.intsConstant(zeros);
  zeros.pop_back();
  Value pads = node.create<nn::ConcatOp>(
      mlir::ValueRange{before, missing, node.intsConstant(zeros)}, /*axis=*/0);
  return node.create<nn::PadOp>(collected, pads, node.none(), PadMode::Constant);
}

/// The scan of one element of a batch: `values` are its length (null when all have the
/// same), first states and sequences. What it gives.
static llvm::SmallVector<Value> scanElement(NodeReader &node, const proto::GraphProto &body,
                                            Value length, llvm::ArrayRef<Value> values,
                                            size_t states, llvm::ArrayRef<int64_t> directions) {
  OperationState state(node.loc(), nn::ScanOp::getOperationName());
  llvm::SmallVector<Type> arguments;
  Value missing;
  for (size_t i = 0; i < values.size(); ++i) {
    Value value = values[i];
    if (length && i >= states) {
      missing = node.create<nn::SubOp>(node.sizeOf(value, 0), length);
      value = cutSequence(node, value, length);
    }
    state.addOperands(value);
    arguments.push_back(i < states ? value.getType() : sliceType(node, value, 0));
  }
  if (node.failed())
    return {};
  size_t count = importLoopBody(node, {body, 0, 0, states}, *state.addRegion(), arguments);
  if (node.failed())
    return {};
  std::vector<int64_t> zeros(count - states, 0);
  std::vector<int64_t> axes(values.size() - states, 0);
  setScanAttributes(node, state, axes, directions, zeros, zeros);
  llvm::SmallVector<Value> results(node.createMulti(state, count));
  for (size_t i = states; length && i < count && !node.failed(); ++i)
    results[i] = padSequence(node, results[i], missing);
  return results;
}

/// A scan over the elements of a batch, of which each is scanned along its sequences.
/// Input 0 are the lengths of these, when they differ.
static void importScanV8(NodeReader &node) {
  const proto::GraphProto *body = node.getGraph("body");
  int64_t scanned = node.getInt("num_scan_inputs");
  if (node.failed())
    return;
  int64_t given = node.inputCount() - 1;
  if (scanned < 1 || scanned > given)
    return node.invalid(fmt::format("attribute 'num_scan_inputs' is {}, the node has {} inputs "
                                    "behind the first",
                                    scanned, given));
  std::vector<int64_t> directions = intsFor(node, "directions", static_cast<size_t>(scanned));
  OperationState batch(node.loc(), nn::ScanOp::getOperationName());
  llvm::SmallVector<Type> arguments;
  for (int i = node.hasInput(0) ? 0 : 1; i < node.inputCount(); ++i) {
    if (!node.hasInput(i))
      return node.invalid(fmt::format("input {} is required but left out", i));
    batch.addOperands(node.input(i));
    arguments.push_back(sliceType(node, node.input(i), 0));
  }
  if (node.failed())
    return;
  llvm::SmallVector<Value> results;
  {
    mlir::OpBuilder::InsertionGuard guard(node.builder());
    Block &block = batch.addRegion()->emplaceBlock();
    for (Type type : arguments)
      block.addArgument(type, node.loc());
    node.builder().setInsertionPointToStart(&block);
    llvm::SmallVector<Value> values(block.args_begin(), block.args_end());
    Value length;
    if (node.hasInput(0)) {
      length = node.create<nn::ReshapeOp>(values.front(), node.intsConstant({1}),
                                          /*allowzero=*/false);
      if (nn::dtypeOf(nn::elementTypeOf(length)) != DType::Int64)
        length = node.createCast(length, DType::Int64);
      values.erase(values.begin());
    }
    results =
        scanElement(node, *body, length, values, static_cast<size_t>(given - scanned), directions);
    node.builder().create<nn::YieldOp>(node.loc(), results);
  }
  if (node.failed())
    return;
  std::vector<int64_t> inputZeros(arguments.size(), 0), outputZeros(results.size(), 0);
  setScanAttributes(node, batch, inputZeros, inputZeros, outputZeros, outputZeros);
  setOutputs(node, node.createMulti(batch, results.size()));
}

std::span<const OpsetRow> quern::onnx::controlFlowImports() {
  static constexpr OpsetRow rows[] = {
      {"If", 1, kNewestOpset, 1, 1, kVariadic, importIf},
      {"Loop", 1, kNewestOpset, 0, kAnyOptional, kVariadic, importLoop, "", /*takesAnyValue=*/true},
      {"Scan", 8, 8, 0, kAnyOptional, kVariadic, importScanV8},
      {"Scan", 9, kNewestOpset, 1, kVariadic, kVariadic, importScan},
  };
  return rows;
}
