//===- ObserverSteps.cpp - where observers stand in a plan ----------------===//
#include "backends/plan/ObserverSteps.h"

#include "ir/Types.h"

#include "llvm/ADT/DenseSet.h"

using namespace mlir;
using namespace quern;
using namespace quern::plan;

/// What no step of the op reads may lie nowhere, or where something else does by now.
std::vector<ValueRef> ObserverSteps::operandsOf(const LoweredOp &op) const {
  llvm::DenseSet<Value> read;
  for (const LoweredStep &step : op.steps)
    for (const StepBuffer &buffer : step.buffers)
      if (buffer.kind == StepBuffer::Kind::Value)
        read.insert(graph.resolve(buffer.value));
  std::vector<ValueRef> refs;
  for (Value operand : op.op->getOperands()) {
    ValueRef &ref = refs.emplace_back();
    Value base = graph.resolve(operand);
    if (op.takesValues() || read.contains(base) || graph.values.isKnown(base)) {
      if (Expected<ValueRef> found = refOf(operand))
        ref = found.take();
    } else if (graph.hasPlace(operand)) {
      Tensor::Dims dims(graph.values.sizesOf(operand));
      if (Expected<Tensor> zeros = Tensor::allocate(dtypeOfValue(operand), std::move(dims)))
        ref.constant = zeros.take();
    }
  }
  return refs;
}

std::vector<ValueRef> ObserverSteps::resultsOf(const LoweredOp &op) const {
  std::vector<ValueRef> refs;
  for (Value value : op.op->getResults()) {
    Expected<ValueRef> found = refOf(value);
    refs.push_back(found ? found.take() : ValueRef());
  }
  return refs;
}

void ObserverSteps::add(const LoweredOp &op, size_t firstStep) {
  size_t behind = built.plan.steps.size();
  if (behind == firstStep)
    return;
  ObservedOp observed{graph, op, firstStep - count, behind - count};
  auto stepOf = [&](ReferenceFunction function, std::vector<ValueRef> given) {
    ReferenceStep work;
    work.function = std::move(function);
    work.inputs = std::move(given);
    ++count;
    return PlanStep{std::move(work), op.nodes, "observer"};
  };
  for (const std::shared_ptr<StepObserver> &observer : observers) {
    StepsAround around = observer->observe(observed);
    if (around.before) {
      auto at = static_cast<std::ptrdiff_t>(firstStep);
      built.plan.steps.insert(built.plan.steps.begin() + at,
                              stepOf(std::move(around.before), operandsOf(op)));
      built.steps.insert(built.steps.begin() + at, PlannedStep());
    }
    if (around.after) {
      PlanStep after = stepOf(std::move(around.after), resultsOf(op));
      if (around.rewrites)
        after.as<ReferenceStep>()->outputs = resultsOf(op);
      built.plan.steps.push_back(std::move(after));
      built.steps.emplace_back();
    }
  }
}
