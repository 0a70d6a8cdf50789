//===- Plan.h - what a compiled graph is at run time ----------------------===//
#pragma once

#include "quern/Tensor.h"
#include "runtime/plan/Kernel.h"
#include "runtime/plan/ReferenceFunction.h"

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace quern {

/// Where a buffer starts.
struct BufferRef {
  enum class Space : uint8_t {
    Arena,   ///< byte `offset` of the session's arena
    Weights, ///< byte `offset` of weight tensor `index`
    Input,   ///< byte `offset` of graph input `index`
    Output,  ///< byte `offset` of graph output `index`
    Dynamic, ///< the tensor in dynamic slot `index` (a ReferenceStep's operand or result only)
  };
  Space space = Space::Arena;
  uint32_t index = 0;
  int64_t offset = 0;
};

/// Runs native code.
struct KernelStep {
  KernelFunction function = nullptr;
  std::vector<BufferRef> buffers;
  std::vector<int64_t> dims;
  int64_t tasks = 1;
  /// Tasks that are worth one unit of parallel work; `tasks <= grain` runs inline.
  int64_t grain = 1;
  /// Memory of its own that each worker gets for the kernel; 0: none.
  int64_t scratchBytes = 0;
};

/// An operand or result of a ReferenceStep. A Dynamic one has no dims: its size
/// is known only when the step has run. An absent operand has dtype Undefined.
struct TensorRef {
  BufferRef buffer;
  DType dtype = DType::Undefined;
  Tensor::Dims dims;
  /// A constant operand itself; the rest says nothing then. Strings, for one,
  /// have no place in a plan's memory.
  Tensor constant = {};
};

/// Calls a reference kernel on tensors: the path of ops without native code.
struct ReferenceStep {
  ReferenceFunction function;
  std::vector<TensorRef> inputs;
  std::vector<TensorRef> outputs;
  /// Dynamic slots that are not needed after this step.
  std::vector<uint32_t> released = {};
};

struct PlanStep {
  std::variant<KernelStep, ReferenceStep> work;
  /// The ONNX nodes this step computes ("conv1+relu1").
  std::string nodes;
  /// The kernel's readable name ("dot_12x32_relu") or the op name.
  std::string kernel;
  /// Floating-point operations and bytes moved, estimated; 0 when unknown.
  double flops = 0;
  double bytes = 0;
};

struct PlanPort {
  std::string name;
  DType dtype = DType::Undefined;
  /// Empty and `dynamic` when the size is known only after the run.
  Tensor::Dims dims = {};
  bool dynamic = false;
  /// Of a dynamic output: its slot.
  uint32_t slot = 0;
};

/// A graph compiled for one set of input shapes. Immutable; shared by sessions.
struct Plan {
  std::vector<PlanPort> inputs;
  std::vector<PlanPort> outputs;
  std::vector<PlanStep> steps;
  int64_t arenaBytes = 0;
  uint32_t dynamicSlots = 0;
  /// Packed weights and constants, shared with other plans of the executable.
  std::vector<Tensor> weights;
  /// Keeps code alive.
  std::vector<std::shared_ptr<const void>> keepAlive;
};

/// The memory that a plan takes, without what it shares with others.
int64_t approximateBytes(const Plan &plan);
/// What a worker's scratch memory takes up in a run of the plan: enough for every
/// step, a multiple of 64.
CheckedSize workerScratchBytes(const Plan &plan);
/// Where that of worker 0 starts: behind the arena. The others' follow.
CheckedSize scratchOffset(const Plan &plan);
/// The memory of a run with so many workers: the arena and their scratch memory.
CheckedSize runBytes(const Plan &plan, int workers);

/// Sets ReferenceStep::released of all steps: a slot ends with the last step that
/// uses it, unless it is an output.
void releaseSlotsAfterLastUse(Plan &plan);

} // namespace quern
