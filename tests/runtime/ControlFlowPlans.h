//===- ControlFlowPlans.h - plans that run plans, for tests ---------------===//
#pragma once

#include "tests/runtime/PlanBuilder.h"

namespace quern::test {

inline PlanPort floatPort(std::string name, Tensor::Dims dims) {
  return {.name = std::move(name), .dtype = DType::Float32, .dims = std::move(dims)};
}
inline PlanPort dynamicPort(std::string name, uint32_t slot) {
  return {.name = std::move(name), .dtype = DType::Float32, .dynamic = true, .slot = slot};
}

/// buffers: y; y[i] = dims[0].
inline int32_t constantKernel(void *const *buffers, const int64_t *dims, int64_t begin, int64_t end,
                              void *) {
  for (int64_t i = begin; i < end; ++i)
    static_cast<float *>(buffers[0])[i] = static_cast<float>(dims[0]);
  return 0;
}

/// buffers: a, b, y; y[i] = a[i] + b[i].
inline int32_t sumKernel(void *const *buffers, const int64_t *, int64_t begin, int64_t end,
                         void *) {
  for (int64_t i = begin; i < end; ++i)
    static_cast<float *>(buffers[2])[i] =
        static_cast<float *>(buffers[0])[i] + static_cast<float *>(buffers[1])[i];
  return 0;
}

/// buffers: number, condition; condition = number < dims[0].
inline int32_t numberBelowKernel(void *const *buffers, const int64_t *dims, int64_t, int64_t,
                                 void *) {
  *static_cast<bool *>(buffers[1]) = *static_cast<int64_t *>(buffers[0]) < dims[0];
  return 0;
}

/// buffers: condition, next condition; they are the same.
inline int32_t keepKernel(void *const *buffers, const int64_t *, int64_t, int64_t, void *) {
  *static_cast<bool *>(buffers[1]) = *static_cast<bool *>(buffers[0]);
  return 0;
}

/// Has this plan for all operands.
inline Planner always(std::shared_ptr<const Plan> plan) {
  return [plan = std::move(plan)](std::span<const AnyValue>,
                                  const Deadline &) -> Expected<std::shared_ptr<const Plan>> {
    return plan;
  };
}
/// A copy of the plan of such a planner.
inline std::shared_ptr<Plan> copyOf(const Planner &planner) {
  return std::make_shared<Plan>(*planner({}, Deadline()).take());
}

inline std::vector<PlanPort> loopInputs() {
  return {{.name = "number", .dtype = DType::Int64}, {.name = "condition", .dtype = DType::Bool}};
}

/// y = x + 1 + 1 + ..., as often as `trips` says, over two floats.
inline Plan countingPlan() {
  auto body = std::make_shared<Plan>();
  body->inputs = loopInputs();
  body->inputs.push_back(floatPort("v", {2}));
  body->outputs = {{.name = "next", .dtype = DType::Bool}, floatPort("v", {2})};
  body->steps = {kernelStep("keep", keepKernel, {input(1), output(0)}, {}, 1),
                 kernelStep("add", addKernel, {input(2), output(1)}, {1}, 2)};
  LoopStep step;
  step.body = always(body);
  step.tripCount = {input(1), DType::Int64, {}};
  step.carried = {{{input(0), DType::Float32, {2}}, {output(0), DType::Float32, {2}}}};
  Plan plan;
  plan.inputs = {floatPort("x", {2}), {.name = "trips", .dtype = DType::Int64}};
  plan.outputs = {floatPort("y", {2})};
  plan.steps.push_back({std::move(step), "loop1", "nn.loop"});
  return plan;
}

/// Gives every v of a countingPlan to a scan output, too.
inline void addScanOutput(Plan &plan, ValueRef result) {
  auto &step = *plan.steps[0].as<LoopStep>();
  std::shared_ptr<Plan> body = copyOf(step.body);
  body->outputs.push_back(floatPort("row", {2}));
  body->steps.push_back(kernelStep("row", addKernel, {output(1), output(2)}, {0}, 2));
  step.body = always(body);
  step.scanOutputs.push_back({.result = std::move(result), .emptySlice = {2}});
}

/// y = f(f(...f(x))), as often as `trips` says, with values of any size in slots.
inline Plan dynamicLoop(ReferenceFunction function) {
  auto body = std::make_shared<Plan>();
  body->dynamicSlots = 2;
  body->inputs = loopInputs();
  body->inputs.push_back(dynamicPort("v", 0));
  body->outputs = {{.name = "next", .dtype = DType::Bool}, dynamicPort("v", 1)};
  body->steps = {kernelStep("keep", keepKernel, {input(1), output(0)}, {}, 1)};
  body->steps.push_back({ReferenceStep{std::move(function),
                                       {{slot(0), DType::Float32, {}}},
                                       {{slot(1), DType::Float32, {}}}},
                         "f", "nn.f"});
  releaseSlotsAfterLastUse(*body);
  LoopStep step;
  step.body = always(body);
  step.tripCount = {input(1), DType::Int64, {}};
  step.carried = {{{slot(0), DType::Float32, {}}, {slot(1), DType::Float32, {}}}};
  Plan plan;
  plan.dynamicSlots = 2;
  plan.inputs = {dynamicPort("x", 0), {.name = "trips", .dtype = DType::Int64}};
  plan.outputs = {dynamicPort("y", 1)};
  plan.steps.push_back({std::move(step), "loop1", "nn.loop"});
  releaseSlotsAfterLastUse(plan);
  return plan;
}

} // namespace quern::test
