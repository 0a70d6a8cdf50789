//===- PlanBuilder.h - small plans for tests ------------------------------===//
#pragma once

#include "runtime/plan/Plan.h"

namespace quern::test {

inline BufferRef arena(int64_t offset) { return {BufferRef::Space::Arena, 0, offset}; }
inline BufferRef input(uint32_t i) { return {BufferRef::Space::Input, i, 0}; }
inline BufferRef output(uint32_t i) { return {BufferRef::Space::Output, i, 0}; }
inline BufferRef slot(uint32_t i) { return {BufferRef::Space::Dynamic, i, 0}; }
inline BufferRef weights(int64_t offset) { return {BufferRef::Space::Weights, 0, offset}; }

/// buffers: x, y; y[i] = x[i] + dims[0] for the tasks' elements.
inline int32_t addKernel(void *const *buffers, const int64_t *dims, int64_t begin, int64_t end,
                         void *) {
  auto *x = static_cast<const float *>(buffers[0]);
  auto *y = static_cast<float *>(buffers[1]);
  for (int64_t i = begin; i < end; ++i)
    y[i] = x[i] + static_cast<float>(dims[0]);
  return 0;
}

/// buffers: a, b, y; y[i] = a[i] * b[i] for the tasks' elements.
inline int32_t multiplyKernel(void *const *buffers, const int64_t *, int64_t begin, int64_t end,
                              void *) {
  auto *a = static_cast<const float *>(buffers[0]);
  auto *b = static_cast<const float *>(buffers[1]);
  auto *y = static_cast<float *>(buffers[2]);
  for (int64_t i = begin; i < end; ++i)
    y[i] = a[i] * b[i];
  return 0;
}

inline PlanStep kernelStep(std::string nodes, KernelFunction function,
                           std::vector<BufferRef> buffers, std::vector<int64_t> dims, int64_t tasks,
                           int64_t grain = 1) {
  PlanStep step;
  step.work = KernelStep{function, std::move(buffers), std::move(dims), tasks, grain};
  step.nodes = std::move(nodes);
  step.kernel = "kernel";
  return step;
}

/// y = x + 1 + 10 over `n` floats, through the arena, in two native steps.
inline std::shared_ptr<Plan> addElevenPlan(int64_t n, int64_t grain) {
  auto plan = std::make_shared<Plan>();
  plan->inputs = {{.name = "x", .dtype = DType::Float32, .dims = {n}}};
  plan->outputs = {{.name = "y", .dtype = DType::Float32, .dims = {n}}};
  plan->arenaBytes = n * 4;
  plan->steps.push_back(kernelStep("one", addKernel, {input(0), arena(0)}, {1}, n, grain));
  plan->steps.push_back(kernelStep("ten", addKernel, {arena(0), output(0)}, {10}, n, grain));
  return plan;
}

} // namespace quern::test
