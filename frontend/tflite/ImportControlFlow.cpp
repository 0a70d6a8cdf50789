//===- ImportControlFlow.cpp - branches, loops, variables -----------------===//
#include "frontend/compose/Composition.h"
#include "frontend/tflite/OpTable.h"
#include "ir/ControlFlow.h"

#include <fmt/format.h>

#include <algorithm>

using namespace quern;
using namespace quern::tflite;
using mlir::Type;
using mlir::Value;
using Op = file::BuiltinOperator;
using ValueList = llvm::SmallVector<Value>;

/// Attempts to find the types of carried values: see importBody.
static constexpr int kAttempts = 5;

/// What is stored of inputs from `first` on.
static ValueList storedInputs(OpReader &op, int first) {
  ValueList values;
  for (int i = first; i < op.inputCount() && !op.failed(); ++i) {
    if (!op.hasInput(i))
      op.invalid(fmt::format("input {} is left out", i));
    values.push_back(op.stored(i));
  }
  return values;
}

static void setResults(OpReader &op, mlir::ValueRange results) {
  if (op.outputCount() > static_cast<int>(results.size()))
    return op.invalid(
        fmt::format("has {} outputs, its subgraphs give {}", op.outputCount(), results.size()));
  for (int i = 0; i < op.outputCount(); ++i)
    op.setStored(i, results[static_cast<size_t>(i)]);
}

//===----------------------------------------------------------------------===//
// Branches
//===----------------------------------------------------------------------===//

static void importIf(OpReader &op) {
  const auto &options = op.options<file::IfOptions>();
  ValueList arguments = storedInputs(op, 1);
  mlir::OperationState state(op.loc(), nn::IfOp::getOperationName());
  state.addOperands(op.stored(0));
  std::optional<size_t> count;
  for (int64_t subgraph : {options.then(), options.otherwise()}) {
    mlir::OpBuilder::InsertionGuard guard(op.builder());
    op.builder().setInsertionPointToStart(&state.addRegion()->emplaceBlock());
    ValueList results = op.call(subgraph, arguments);
    if (op.failed())
      return;
    if (count.value_or(results.size()) != results.size())
      return op.invalid(fmt::format("its branches give {} and {} results", *count, results.size()));
    count = results.size();
    op.builder().create<nn::YieldOp>(op.loc(), results);
  }
  setResults(op, op.createMulti(state, *count));
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

/// `next`, which the body gives in place of a value of type `type`, as what the file says that it
/// is: converters know sizes that the ops of the body do not show, as of a row put between rows.
static Value asDeclared(OpReader &op, int64_t body, size_t i, Type type, Value next) {
  std::vector<int64_t> dims = op.resultDims(body, i);
  std::optional<nn::Shape> shape = nn::shapeOf(type), found = nn::shapeOf(next);
  bool isKnown = shape && found && shape->rank() == static_cast<int64_t>(dims.size()) &&
                 found->rank() == shape->rank();
  for (size_t d = 0; isKnown && d < dims.size(); ++d) {
    const nn::Dim &dim = (*shape)[static_cast<int64_t>(d)];
    isKnown = dim.isStatic() && dim.size() == dims[d] &&
              dim.compatibleWith((*found)[static_cast<int64_t>(d)]);
  }
  return isKnown ? op.create<nn::ReshapeOp>(next, op.intsConstant(dims), /*allowzero=*/true) : next;
}

/// After an attempt that has found some types to be too narrow, what these are now. A size that
/// changes changes those computed from it an iteration later, one by one: so the attempt before
/// the last knows no sizes of what has changed, and the last no shapes.
static Type widened(int attempt, Type wide) {
  if (attempt + 2 < kAttempts)
    return wide;
  return attempt + 2 == kAttempts ? nn::withoutSizes(wide) : nn::withoutShapes(wide);
}

/// Imports the body of a loop, again with wider types of the carried values until those that it
/// yields fit.
static void importBody(OpReader &op, const file::WhileOptions &options, mlir::Region &region,
                       llvm::SmallVector<Type> types) {
  mlir::Builder &builder = op.builder();
  auto scalar = [&](Type type) { return mlir::RankedTensorType::get({}, type); };
  for (int attempt = 1; attempt <= kAttempts; ++attempt) {
    mlir::OpBuilder::InsertionGuard guard(op.builder());
    region.dropAllReferences();
    region.getBlocks().clear();
    mlir::Block &block = region.emplaceBlock();
    block.addArgument(scalar(builder.getI64Type()), op.loc());
    block.addArgument(scalar(builder.getI1Type()), op.loc());
    for (Type type : types)
      block.addArgument(type, op.loc());
    op.builder().setInsertionPointToStart(&block);
    ValueList next = op.call(options.body(), ValueList(llvm::drop_begin(block.getArguments(), 2)));
    if (op.failed())
      return;
    if (next.size() != types.size())
      return op.invalid(
          fmt::format("its body gives {} values, is given {}", next.size(), types.size()));
    bool fits = true;
    for (size_t i = 0; i < types.size(); ++i) {
      if (Type joined = nn::joinTypes(types[i], next[i].getType()); joined && joined != types[i])
        next[i] = asDeclared(op, options.body(), i, types[i], next[i]);
      Type joined = nn::joinTypes(types[i], next[i].getType());
      if (!joined || joined == types[i]) // null: the op's verifier says it
        continue;
      types[i] = widened(attempt, joined);
      fits = false;
    }
    if (!fits)
      continue;
    ValueList holds = op.call(options.condition(), next);
    if (!op.failed() && holds.size() != 1)
      op.invalid(fmt::format("its condition gives {} values", holds.size()));
    if (op.failed())
      return;
    holds.append(next);
    op.builder().create<nn::YieldOp>(op.loc(), holds);
    return;
  }
  op.invalid("the types of the carried values cannot be found");
}

static void importWhile(OpReader &op) {
  const auto &options = op.options<file::WhileOptions>();
  ValueList initial = storedInputs(op, 0);
  ValueList holds = op.call(options.condition(), initial);
  if (!op.failed() && holds.size() != 1)
    op.invalid(fmt::format("its condition gives {} values", holds.size()));
  if (op.failed())
    return;
  mlir::OperationState state(op.loc(), nn::LoopOp::getOperationName());
  state.addOperands({op.none(), holds[0]});
  state.addOperands(initial);
  llvm::SmallVector<Type> types;
  for (Value value : initial)
    types.push_back(value.getType());
  importBody(op, options, *state.addRegion(), types);
  if (!op.failed())
    setResults(op, op.createMulti(state, initial.size()));
}

//===----------------------------------------------------------------------===//
// Variables
//===----------------------------------------------------------------------===//

/// What runs once, before all else: its variables are constants then.
static void importCallOnce(OpReader &op) {
  if (!op.isMain())
    return op.unsupported("in a subgraph that another calls");
  op.calls().isFirstRun = true;
  op.call(op.options<file::CallOnceOptions>().subgraph(), {});
  op.calls().isFirstRun = false;
}

static void importVarHandle(OpReader &op) {
  const auto &options = op.options<file::VarHandleOptions>();
  op.setHandle(0, nameOf(options.container()) + "/" + nameOf(options.name()));
}

static void importAssignVariable(OpReader &op) {
  std::string variable = op.variableOf(0);
  Value value = op.stored(1);
  if (!op.failed() && !op.calls().isFirstRun)
    op.unsupported("a variable that keeps what a run computes for the next: convert a model that "
                   "has this state as an input, and the next state as an output");
  if (!op.failed())
    op.calls().variables[variable] = value;
}

static void importReadVariable(OpReader &op) {
  std::string variable = op.variableOf(0);
  auto found = op.calls().variables.find(variable);
  if (!op.failed() && found == op.calls().variables.end())
    op.unsupported(fmt::format("variable '{}' that nothing has set before", variable));
  if (!op.failed())
    op.setStored(0, found->second);
}

std::span<const OpRow> tflite::controlFlowImports() {
  static constexpr OpRow rows[] = {
      {Op::ASSIGN_VARIABLE, 2, 2, importAssignVariable, 0},
      {Op::CALL_ONCE, 0, 0, importCallOnce, 0},
      {Op::IF, 1, kAnyNumber, importIf, 0},
      {Op::READ_VARIABLE, 1, 1, importReadVariable},
      {Op::VAR_HANDLE, 0, 0, importVarHandle},
      {Op::WHILE, 1, kAnyNumber, importWhile, 0},
  };
  return rows;
}
