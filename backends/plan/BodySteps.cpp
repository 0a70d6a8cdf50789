//===- BodySteps.cpp - the steps that run branches and bodies -------------===//
#include "backends/plan/BodySteps.h"

#include "llvm/ADT/STLExtras.h"

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

PlanStep plan::bodyStep(const OutlinedOp &op, SharedText nodes, std::vector<ValueRef> operands,
                        std::vector<ValueRef> results) {
  Queue given(std::move(operands)), made(std::move(results));
  switch (op.kind) {
  case OutlinedOp::Kind::If:
    return {ifStep(std::move(given), std::move(made)), std::move(nodes), "if"};
  case OutlinedOp::Kind::Loop:
    return {loopStep(op, std::move(given), std::move(made)), std::move(nodes), "loop"};
  case OutlinedOp::Kind::Scan:
    break;
  }
  return {scanStep(op, std::move(given), std::move(made)), std::move(nodes), "scan"};
}

void plan::setPlanners(PlanStep &step, std::vector<Planner> planners) {
  step.visit([&]<typename Step>(Step &work) {
    if constexpr (RunsPlans<Step>)
      for (auto [place, planner] : llvm::zip_equal(work.planners(), planners))
        *place = std::move(planner);
  });
}
