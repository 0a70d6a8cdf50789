//===- Interpreter.cpp - runs nn graphs with the reference kernels --------===//
#include "backends/interpreter/Interpreter.h"

#include "backends/interpreter/ControlFlow.h"
#include "ir/NNDialect.h"
#include "ir/Signature.h"
#include "ir/Types.h"
#include "runtime/running/TraceScope.h"

#include <chrono>
#include <fmt/format.h>
#include <utility>

using namespace quern;
using namespace quern::interpreter;

//===----------------------------------------------------------------------===//
// Creating a program
//===----------------------------------------------------------------------===//

Expected<nn::ReferenceCall> interpreter::callOf(mlir::Operation &op) {
  if (isControlFlow(&op))
    return makeControlFlowCall(&op);
  auto group = llvm::dyn_cast<nn::GroupOp>(op);
  if (!group)
    return nn::makeReferenceCall(&op);
  QUERN_ASSIGN(ReferenceProgram program, ReferenceProgram::create(group.getBody().front()));
  auto shared = std::make_shared<const ReferenceProgram>(std::move(program));
  return nn::ReferenceCall(
      [shared](const ReferenceArguments &arguments) { return shared->run(arguments); });
}

Expected<std::vector<Tensor>>
interpreter::evaluate(mlir::Operation *op, std::span<const Tensor> inputs, Budget &budget) {
  auto callIt = [&]() -> Expected<std::vector<Tensor>> {
    QUERN_ASSIGN(nn::ReferenceCall call, callOf(*op));
    QUERN_ASSIGN(std::vector<AnyValue> results, call({inputs, budget}));
    return tensorsOf(std::move(results));
  };
  auto results = callIt();
  return results ? std::move(results) : results.status().withContext(nn::nodeContext(op));
}

Expected<ReferenceProgram> ReferenceProgram::create(mlir::Block &block,
                                                    llvm::ArrayRef<mlir::Value> captured) {
  ReferenceProgram program;
  Budget unlimited{Limits()};
  llvm::DenseMap<mlir::Value, size_t> slotOf;
  for (mlir::BlockArgument argument : block.getArguments())
    slotOf[argument] = program.slotCount++;
  for (mlir::Value value : captured)
    slotOf[value] = program.slotCount++;
  program.inputCount = program.slotCount;
  auto slotsOf = [&](mlir::ValueRange values) {
    std::vector<size_t> slots;
    for (mlir::Value value : values)
      slots.push_back(slotOf.at(value));
    return slots;
  };
  for (mlir::Operation &op : block.without_terminator()) {
    for (mlir::Value result : op.getResults())
      slotOf[result] = program.slotCount++;
    auto call = callOf(op);
    if (!call)
      return call.status().withContext(nn::nodeContext(&op));
    if (llvm::isa<nn::NoneOp, nn::ConstantOp, nn::WeightOp>(op)) {
      QUERN_ASSIGN(std::vector<AnyValue> values, (*call)({{}, unlimited}));
      program.constants.emplace_back(slotOf.at(op.getResult(0)), values[0]);
      continue;
    }
    std::vector<size_t> operands = slotsOf(op.getOperands());
    if (isControlFlow(&op))
      llvm::append_range(operands, slotsOf(capturedValues(&op)));
    program.steps.push_back({.call = call.take(),
                             .nodeName = nn::nodeName(op.getLoc()),
                             .opName = op.getName().getStringRef().str(),
                             .operands = std::move(operands),
                             .results = slotsOf(op.getResults()),
                             .released = {},
                             .lastInputs = {}});
  }
  program.outputs = slotsOf(block.getTerminator()->getOperands());
  program.findLastUses();
  return program;
}

void ReferenceProgram::findLastUses() {
  // Constants are never released: the program holds them anyway.
  std::vector<bool> kept(slotCount, true);
  std::fill_n(kept.begin(), inputCount, false);
  for (const Step &step : steps)
    for (size_t slot : step.results)
      kept[slot] = false;
  for (size_t slot : outputs)
    kept[slot] = true;
  for (size_t i = steps.size(); i-- > 0;)
    for (const std::vector<size_t> *slots : {&steps[i].results, &steps[i].operands})
      for (size_t slot : *slots)
        if (!kept[slot]) {
          kept[slot] = true;
          (slot < inputCount ? steps[i].lastInputs : steps[i].released).push_back(slot);
        }
}

//===----------------------------------------------------------------------===//
// Running it
//===----------------------------------------------------------------------===//

/// Whether a result lies in its place.
static bool isIn(const AnyValue &result, const Tensor &place) {
  const Tensor *tensor = result.asTensor();
  return place.isPresent() && tensor && tensor->rawData() == place.rawData();
}

Tensor ReferenceProgram::placeOf(size_t slot, std::span<const Tensor> places) const {
  size_t number = std::find(outputs.begin(), outputs.end(), slot) - outputs.begin();
  return number < places.size() ? places[number] : Tensor();
}

Status ReferenceProgram::runStep(const Step &step, std::vector<AnyValue> &slots,
                                 const ReferenceArguments &arguments,
                                 const RunOptions &options) const {
  Budget &budget = arguments.budget;
  QUERN_TRY(budget.check());
  std::vector<AnyValue> operands;
  std::vector<Tensor> places;
  for (size_t slot : step.operands)
    operands.push_back(slots[slot]);
  for (size_t slot : step.results)
    places.push_back(placeOf(slot, arguments.places));
  // The call alone may hold now what ends with it.
  int64_t givenBytes = 0;
  for (size_t slot : step.released)
    givenBytes += std::exchange(slots[slot], AnyValue()).numBytes();
  for (size_t slot : step.lastInputs)
    slots[slot] = AnyValue();
  TraceScope span(
      [&] { return TraceSpan{.category = "step", .name = step.opName, .nodes = step.nodeName}; });
  auto start = std::chrono::steady_clock::now();
  QUERN_ASSIGN(std::vector<AnyValue> results,
               step.call({operands, budget, places, /*takeable=*/operands}));
  std::chrono::duration<double, std::milli> elapsed = std::chrono::steady_clock::now() - start;
  if (options.onTiming)
    options.onTiming({step.nodeName, step.opName, elapsed.count()});
  if (options.onResults)
    QUERN_TRY(options.onResults(step.nodeName, results));
  for (size_t i = 0; i < results.size(); ++i) {
    QUERN_TRY(budget.hold(results[i].numBytes()));
    slots[step.results[i]] = std::move(results[i]);
  }
  // Results that no step reads are there only now.
  for (size_t slot : step.released)
    givenBytes += std::exchange(slots[slot], AnyValue()).numBytes();
  budget.release(givenBytes);
  return Status::ok();
}

Expected<std::vector<Tensor>> ReferenceProgram::run(std::span<const Tensor> inputs,
                                                    const RunOptions &options) const {
  Budget budget(options.limits, options.cancelled);
  QUERN_ASSIGN(std::vector<AnyValue> results, run({inputs, budget}, options));
  return tensorsOf(std::move(results));
}

Expected<std::vector<AnyValue>> ReferenceProgram::run(std::span<const AnyValue> inputs,
                                                      const RunOptions &options) const {
  Budget budget(options.limits, options.cancelled);
  return run({inputs, budget}, options);
}

Expected<std::vector<AnyValue>> ReferenceProgram::run(const ReferenceArguments &arguments,
                                                      const RunOptions &options) const {
  auto &[inputs, budget, places, takeable] = arguments;
  if (inputs.size() != inputCount)
    return internalError(fmt::format("wanted {} inputs, found {}", inputCount, inputs.size()));
  std::vector<AnyValue> slots(slotCount);
  for (size_t i = 0; i < inputCount; ++i)
    slots[i] = arguments.take(i);
  for (const auto &[slot, value] : constants)
    slots[slot] = value;
  int64_t heldBefore = budget.heldBytes();
  for (const Step &step : steps) {
    budget.beginStep();
    Status status = runStep(step, slots, arguments, options);
    if (!status.isOk())
      return status.withContext(nn::nodeContext(step.nodeName, step.opName));
  }
  std::vector<AnyValue> results;
  for (size_t slot : outputs)
    results.push_back(slots[slot]);
  slots.clear();
  for (size_t i = 0; i < results.size() && !options.mayShare; ++i)
    if (!isIn(results[i], i < places.size() ? places[i] : Tensor()))
      QUERN_TRY(budget.unshare(results[i]));
  // What is left are the results, which are the caller's to count.
  budget.release(budget.heldBytes() - heldBefore);
  return results;
}

/// Of tensors or any values, as the inputs are.
template <typename T>
static Expected<std::vector<T>> interpretOnce(mlir::func::FuncOp main, std::span<const T> inputs,
                                              const RunOptions &options) {
  if (main.isDeclaration())
    return internalError("function '" + main.getName().str() + "' has no body");
  QUERN_TRY(checkInputs(nn::inputSignature(main), inputs));
  QUERN_ASSIGN(ReferenceProgram program, ReferenceProgram::create(main.getBody().front()));
  return program.run(inputs, options);
}

Expected<std::vector<Tensor>> interpreter::interpret(mlir::func::FuncOp main,
                                                     std::span<const Tensor> inputs,
                                                     const RunOptions &options) {
  return interpretOnce(main, inputs, options);
}

Expected<std::vector<AnyValue>> interpreter::interpretValues(mlir::func::FuncOp main,
                                                             std::span<const AnyValue> inputs,
                                                             const RunOptions &options) {
  return interpretOnce(main, inputs, options);
}
