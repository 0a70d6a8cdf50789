//===- Executor.h - runs a plan -------------------------------------------===//
#pragma once

#include "quern/Session.h"
#include "runtime/lib/Budget.h"
#include "runtime/lib/TaskPool.h"
#include "runtime/plan/Plan.h"

#include <cstddef>
#include <span>

namespace quern {

/// What a run works with besides the plan and the tensors.
struct RunResources {
  TaskPool &pool;
  /// Asked between steps, between the task ranges of a step and by reference kernels;
  /// holds the plan's arena and the values in dynamic slots.
  Budget &budget;
  /// At least runBytes(plan, pool.threads()) bytes, 64-byte aligned.
  std::byte *arena = nullptr;
  bool flushSubnormals = true;
  /// The time of each step is added here, when it is not empty.
  std::span<ProfileRow> profile = {};
};

/// Runs one plan again and again. All its memory is allocated at construction:
/// a run of kernel steps alone allocates nothing. For one thread at a time.
class Executor {
public:
  explicit Executor(std::shared_ptr<const Plan> plan);

  const Plan &plan() const { return *compiled; }

  /// `inputs` match plan().inputs. Outputs of a known size are present, match
  /// plan().outputs and are written in place; dynamic ones are assigned when all
  /// has gone well, and share storage with nothing.
  /// Errors name the nodes of the step that failed.
  Status run(std::span<const Tensor> inputs, std::span<Tensor> outputs,
             const RunResources &resources);

private:
  /// The tensors of the current run.
  struct Binding {
    std::span<const Tensor> inputs;
    std::span<Tensor> outputs;
    const RunResources &resources;
    Budget &budget() const { return resources.budget; }
  };
  void *resolve(const BufferRef &ref, const Binding &binding) const;
  Tensor operand(const TensorRef &ref, const Binding &binding) const;
  Tensor place(const TensorRef &ref, const Binding &binding) const;
  void *workerScratch(const KernelStep &step, const RunResources &resources) const;
  Status runKernel(const KernelStep &step, const Binding &binding);
  Status runReference(const ReferenceStep &step, const Binding &binding);
  Status storeResult(const TensorRef &ref, Tensor result, const Binding &binding);
  Status storeInSlot(uint32_t slot, Tensor result, const Binding &binding);
  Status runSteps(const Binding &binding);
  Status assignDynamicOutputs(const Binding &binding);

  std::shared_ptr<const Plan> compiled;
  /// The buffers of the running kernel step.
  std::vector<void *> pointers;
  std::vector<Tensor> slots;
  int64_t scratchBytes;
};

} // namespace quern
