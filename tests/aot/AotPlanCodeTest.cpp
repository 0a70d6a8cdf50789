//===- AotPlanCodeTest.cpp - hand-made plans as code ----------------------===//
//
// Kernels that refuse and use scratch memory, in a plan that is run as code.
//
//===----------------------------------------------------------------------===//
#include "backends/native/aot/AotPlanCode.h"
#include "backends/native/codegen/Jit.h"
#include "quern/model_abi.h"
#include "runtime/running/Arena.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <gtest/gtest.h>
#include <thread>

using namespace quern;
using namespace quern::native;

namespace {
constexpr int64_t kTasks = 64, kRows = 10;

/// buffers: indices, table, y; y[i] = table[indices[i]] by way of scratch memory.
/// Indices beyond dims[0] rows are refused, and negative ones for another reason.
ObjectCode emitLookup(const Target &target) {
  KernelBuilder kb(target, "lookup");
  kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](mlir::Value i) {
    mlir::Value index = kb.load(kb.advance(kb.buffer(0), i, DType::Int64), DType::Int64, 0);
    mlir::Value tooSmall = kb.lessThan(index, kb.index(0));
    mlir::Value tooLarge = kb.lessThan(kb.sub(kb.dim(0), kb.index(1)), index);
    kb.trapIf(tooLarge, TrapCode::IndexOutOfRange);
    kb.trapIf(tooSmall, static_cast<TrapCode>(9));
    mlir::Value refused = kb.builder().create<mlir::arith::OrIOp>(kb.loc(), tooSmall, tooLarge);
    mlir::Value row =
        kb.builder().create<mlir::arith::SelectOp>(kb.loc(), refused, kb.index(0), index);
    mlir::Value x = kb.load(kb.advance(kb.buffer(1), row, DType::Float32), DType::Float32, 0);
    kb.store(x, kb.scratch(), DType::Float32, 0);
    mlir::Value kept = kb.load(kb.scratch(), DType::Float32, 0);
    kb.store(kept, kb.advance(kb.buffer(2), i, DType::Float32), DType::Float32, 0);
  });
  auto object = compileKernel(kb.finish(), target);
  EXPECT_TRUE(object) << object.status().message();
  return object.take();
}

/// The plan of one step, with `grain` tasks to a range.
Plan lookupPlan(int64_t grain) {
  Plan plan;
  plan.inputs = {{.name = "indices", .dtype = DType::Int64, .dims = {kTasks}},
                 {.name = "table", .dtype = DType::Float32, .dims = {kRows}}};
  plan.outputs = {{.name = "y", .dtype = DType::Float32, .dims = {kTasks}}};
  KernelStep step;
  step.buffers = {{BufferRef::Space::Input, 0, 0},
                  {BufferRef::Space::Input, 1, 0},
                  {BufferRef::Space::Output, 0, 0}};
  step.dims = {kRows};
  step.tasks = kTasks;
  step.grain = grain;
  step.scratchBytes = 100;
  plan.steps.push_back({std::move(step), "lookup", "lookup"});
  plan.arenaBytes = 70; // the scratch memory begins at 128
  return plan;
}

/// A plan as code in this process.
struct RunnablePlan {
  explicit RunnablePlan(int64_t grain) : plan(lookupPlan(grain)) {
    Target target = resolveTarget("host").take();
    AotModel model{{{&plan, {"lookup"}}}, {.name = "lookups"}, {}, "m", target, {}};
    for (const PlanPort &port : plan.inputs)
      model.interface.inputs.emplace_back(port.name, port.dtype, PortShape::fromSizes(port.dims));
    for (const PlanPort &port : plan.outputs)
      model.interface.outputs.emplace_back(port.name, port.dtype, PortShape::fromSizes(port.dims));
    auto code = compilePlanCode(model);
    EXPECT_TRUE(code) << code.status().message();
    jit = Jit::create(target).take();
    EXPECT_TRUE(jit->addObject(emitLookup(target)).isOk());
    EXPECT_TRUE(jit->addObject(*code).isOk());
    find("m_run", run);
    find("m_run_parallel", runParallel);
    find("m_info", info);
    workspace = Arena::allocate(CheckedSize(info()->workspace_bytes + info()->worker_bytes)).take();
  }

  /// Runs with these indices, in the calling thread or divided by `parallelFor`.
  int lookUp(const std::vector<int64_t> &indices, quern_parallel_for_fn parallelFor = nullptr) {
    const void *inputs[] = {indices.data(), table.data()};
    void *outputs[] = {y.data()};
    return parallelFor ? runParallel(inputs, outputs, workspace.data(), parallelFor, nullptr)
                       : run(inputs, outputs, workspace.data());
  }

  template <typename F> void find(const char *name, F &function) {
    auto found = jit->lookup(name);
    ASSERT_TRUE(found) << found.status().message();
    function = reinterpret_cast<F>(reinterpret_cast<void (*)()>(*found));
  }

  Plan plan;
  std::shared_ptr<Jit> jit;
  int (*run)(const void *const *, void *const *, void *) = nullptr;
  int (*runParallel)(const void *const *, void *const *, void *, quern_parallel_for_fn,
                     void *) = nullptr;
  const quern_model_info *(*info)() = nullptr;
  Arena workspace;
  std::vector<float> table = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  std::vector<float> y = std::vector<float>(kTasks);
};

void backwards(void *, int64_t tasks, int64_t grain, quern_task_fn task, void *closure) {
  for (int64_t begin = (tasks - 1) / grain * grain; begin >= 0; begin -= grain)
    task(closure, 1, begin, std::min(begin + grain, tasks));
}

void inTwoThreads(void *, int64_t tasks, int64_t, quern_task_fn task, void *closure) {
  std::thread half([=] { task(closure, 1, tasks / 2, tasks); });
  task(closure, 0, 0, tasks / 2);
  half.join();
}

constexpr quern_parallel_for_fn kDivisions[] = {nullptr, backwards, inTwoThreads};
} // namespace

TEST(AotPlanCode, TheWorkspaceHasScratchMemoryForEveryWorker) {
  RunnablePlan model(1);
  EXPECT_EQ(model.info()->workspace_bytes, 128 + 128);
  EXPECT_EQ(model.info()->worker_bytes, 128);
}

TEST(AotPlanCode, RunsKernelsThatCouldRefuse) {
  std::vector<int64_t> indices(kTasks);
  for (int64_t i = 0; i < kTasks; ++i)
    indices[i] = i * 7 % kRows;
  for (int64_t grain : {int64_t{1}, kTasks}) {
    RunnablePlan model(grain);
    for (quern_parallel_for_fn division : kDivisions) {
      std::fill(model.y.begin(), model.y.end(), -1.0f);
      ASSERT_EQ(model.lookUp(indices, division), QUERN_MODEL_OK);
      for (int64_t i = 0; i < kTasks; ++i)
        EXPECT_EQ(model.y[i], static_cast<float>(indices[i]));
    }
  }
}

TEST(AotPlanCode, TheFirstRefusalInTaskOrderIsTheStatus) {
  for (int64_t grain : {int64_t{1}, int64_t{5}, kTasks}) {
    RunnablePlan model(grain);
    for (quern_parallel_for_fn division : kDivisions) {
      std::vector<int64_t> indices(kTasks, 0);
      indices[50] = kRows;
      EXPECT_EQ(model.lookUp(indices, division), QUERN_MODEL_INDEX_OUT_OF_RANGE);
      indices[60] = -1;
      EXPECT_EQ(model.lookUp(indices, division), QUERN_MODEL_INDEX_OUT_OF_RANGE);
      indices[20] = -1;
      EXPECT_EQ(model.lookUp(indices, division), QUERN_MODEL_REFUSED + 9);
    }
  }
}
