//===- BodySteps.cpp - the steps that run branches and bodies -------------===//
#include "backends/plan/BodySteps.h"

#include <utility>

using namespace quern;
using namespace quern::plan;
using passes::OutlinedOp;

namespace {
/// Hands out operands or results in their order.
class Queue {
public:
  explicit Queue(std::vector<ValueRef> values) : values(std::move(values)) {}
  ValueRef next() { return std::move(values[position++]); }
  std::vector<ValueRef> rest() {
    return {std::make_move_iterator(values.begin() + static_cast<ptrdiff_t>(position)),
            std::make_move_iterator(values.end())};
  }

private:
  std::vector<ValueRef> values;
  size_t position = 0;
};
} // namespace

static void addCarried(IteratedStep &step, const OutlinedOp &op, Queue &operands, Queue &results) {
  for (size_t i = 0; i < op.numCarried; ++i) {
    CarriedValue &carried = step.carried.emplace_back();
    carried.initial = operands.next();
    carried.result = results.next();
  }
}

static void addCollected(IteratedStep &step, const OutlinedOp &op, Queue &results) {
  for (size_t i = 0; i < op.outputAxes.size(); ++i)
    step.scanOutputs.push_back({.result = results.next(),
                                .axis = op.outputAxes[i],
                                .backward = op.outputDirections[i] == 1,
                                .emptySlice = op.slices[i]});
}

static IfStep ifStep(Queue operands, Queue results) {
  IfStep step;
  step.condition = operands.next();
  step.inputs = operands.rest();
  step.outputs = results.rest();
  return step;
}

static LoopStep loopStep(const OutlinedOp &op, Queue operands, Queue results) {
  LoopStep step;
  step.tripCount = operands.next();
  step.condition = operands.next();
  step.numberDims = op.numberDims;
  step.conditionDims = op.conditionDims;
  addCarried(step, op, operands, results);
  addCollected(step, op, results);
  step.captured = operands.rest();
  return step;
}

static ScanStep scanStep(const OutlinedOp &op, Queue operands, Queue results) {
  ScanStep step;
  addCarried(step, op, operands, results);
  for (size_t i = 0; i < op.inputAxes.size(); ++i)
    step.scanInputs.push_back({.operand = operands.next(),
                               .axis = op.inputAxes[i],
                               .backward = op.inputDirections[i] == 1});
  addCollected(step, op, results);
  step.captured = operands.rest();
  return step;
}

decltype(PlanStep::work) plan::bodyStep(const OutlinedOp &op, std::vector<ValueRef> operands,
                                        std::vector<ValueRef> results) {
  switch (op.kind) {
  case OutlinedOp::Kind::If:
    return ifStep(Queue(std::move(operands)), Queue(std::move(results)));
  case OutlinedOp::Kind::Loop:
    return loopStep(op, Queue(std::move(operands)), Queue(std::move(results)));
  case OutlinedOp::Kind::Scan:
    break;
  }
  return scanStep(op, Queue(std::move(operands)), Queue(std::move(results)));
}

void plan::setPlanners(PlanStep &step, std::vector<Planner> planners) {
  if (auto *branches = step.as<IfStep>()) {
    branches->thenPlanner = std::move(planners[0]);
    branches->elsePlanner = std::move(planners[1]);
  } else if (auto *loop = step.as<LoopStep>()) {
    loop->body = std::move(planners[0]);
  } else if (auto *scan = step.as<ScanStep>()) {
    scan->body = std::move(planners[0]);
  }
}
