//===- Frame.h - the state of one plan while it runs ----------------------===//
#pragma once

#include "runtime/plan/Plan.h"
#include "runtime/running/Budget.h"

#include <cstddef>
#include <memory>
#include <vector>

namespace quern {

struct NestedPlans;

/// Where the ports, buffers and slots of one plan are in the current run. All its
/// own memory is allocated at construction. `plan` outlives it.
struct Frame {
  explicit Frame(const Plan &plan);
  ~Frame();
  Frame(Frame &&) noexcept;

  const Plan &plan;
  std::byte *arena = nullptr;
  /// Where the ports are that are not dynamic.
  std::vector<void *> inputs;
  std::vector<void *> outputs;
  std::vector<AnyValue> slots;
  /// The buffers of the running kernel step, or of all steps of a wave.
  std::vector<void *> pointers;

  /// For each step the plans that it runs; null for most.
  std::vector<std::unique_ptr<NestedPlans>> nested;

  /// The address of a buffer that is not Dynamic.
  void *resolve(const BufferRef &ref) const;
  /// The value of an operand; tensors in the plan's memory are borrowed.
  AnyValue operand(const ValueRef &ref) const;
  /// The storage that waits for a result; absent where there is none.
  Tensor place(const ValueRef &ref) const;
  /// Puts a result where the plan wants it, unless it is there already. Internal when
  /// it is not as planned.
  Status store(const ValueRef &ref, AnyValue result, Budget &budget);
  /// Keeps a value whose storage nobody overwrites during the run.
  Status holdInSlot(uint32_t slot, AnyValue value, Budget &budget);
  /// Keeps a value, with storage of its own for what it has borrowed.
  Status storeInSlot(uint32_t slot, AnyValue value, Budget &budget);
  /// Empties slots that end with a step whose operands have been read: these may be all that
  /// holds the values now. The bytes to release after the step.
  int64_t giveSlots(std::span<const uint32_t> released);
  void releaseSlots(std::span<const uint32_t> released, Budget &budget);
  /// Releases all slots that are still in use.
  void releaseAll(Budget &budget);
  /// Lets go of all values, those of nested plans too.
  void clearSlots();
};

} // namespace quern
