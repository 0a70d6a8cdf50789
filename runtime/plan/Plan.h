//===- Plan.h - what a compiled graph is at run time ----------------------===//
#pragma once

#include "runtime/plan/Boxed.h"
#include "runtime/plan/ControlFlowSteps.h"
#include "runtime/plan/Kernel.h"
#include "runtime/plan/ReferenceFunction.h"
#include "runtime/plan/ValueRef.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace quern {

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
  /// It copies all of buffer 0 to buffer 1: nothing, where the caller made both one.
  bool copiesWhole = false;
};

/// Calls a reference kernel on values: the path of ops without native code.
struct ReferenceStep {
  ReferenceFunction function;
  std::vector<ValueRef> inputs;
  std::vector<ValueRef> outputs;
};

struct PlanStep {
  std::variant<KernelStep, Boxed<ReferenceStep>, Boxed<IfStep>, Boxed<LoopStep>, Boxed<ScanStep>,
               Boxed<StageStep>>
      work;
  /// The ONNX nodes this step computes ("conv1+relu1").
  SharedText nodes;
  /// The kernel's readable name ("dot_12x32_relu") or the op name.
  SharedText kernel;
  /// Floating-point operations and bytes moved, estimated; 0 when unknown.
  double flops = 0;
  double bytes = 0;
  /// Dynamic slots that are not needed after this step.
  std::vector<uint32_t> released = {};

  /// The work, if it is of this kind; null otherwise.
  template <typename Step> const Step *as() const {
    if constexpr (std::is_same_v<Step, KernelStep>) {
      return std::get_if<KernelStep>(&work);
    } else {
      auto *boxed = std::get_if<Boxed<Step>>(&work);
      return boxed ? &**boxed : nullptr;
    }
  }
  template <typename Step> Step *as() {
    return const_cast<Step *>(std::as_const(*this).template as<Step>());
  }
};

struct PlanPort {
  std::string name;
  DType dtype = DType::Undefined;
  /// Empty and `dynamic` when the plan knows no size: of an output that is known only
  /// after the run, of an input that any size will do for.
  Tensor::Dims dims = {};
  bool dynamic = false;
  /// Where a dynamic input is put before the run, and a dynamic output is after it.
  uint32_t slot = 0;
  /// What is no tensor is dynamic.
  ValueType::Kind kind = ValueType::Kind::Tensor;
  /// Of an output: the input in whose memory it may be made, by changing some elements.
  std::optional<uint32_t> updates = {};
};

/// A graph compiled for one set of input shapes, or what a step of one runs: a branch,
/// a body. Immutable; shared by sessions.
struct Plan {
  std::vector<PlanPort> inputs;
  std::vector<PlanPort> outputs;
  std::vector<PlanStep> steps;
  int64_t arenaBytes = 0;
  uint32_t dynamicSlots = 0;
  /// Packed weights and constants, shared with other plans of the executable.
  std::vector<Tensor> weights;
  /// Bytes of those that no other plan has: small constants, and tables for its sizes.
  int64_t ownWeightBytes = 0;
  /// Keeps code alive.
  std::vector<std::shared_ptr<const void>> keepAlive;
};

/// The memory that a plan takes, without what it shares with others.
int64_t approximateBytes(const Plan &plan);
/// What a worker's scratch memory takes up in a run of the plan: enough for every
/// step; a multiple of 64.
CheckedSize workerScratchBytes(const Plan &plan);
/// Where that of worker 0 starts: behind the arena. The others' follow.
CheckedSize scratchOffset(const Plan &plan);
/// The memory of a run with so many workers: the arena and their scratch memory.
CheckedSize runBytes(const Plan &plan, int workers);

/// The results and operands of a step that is no kernel, those left out among them.
std::vector<const ValueRef *> refsOf(const PlanStep &step);

/// Sets PlanStep::released of all steps: a slot ends with the last step that uses it,
/// unless it is an output. Inputs that no step uses end with the first step.
void releaseSlotsAfterLastUse(Plan &plan);
/// Sets PlanPort::updates of all outputs: such an output is first written by a copy of
/// the whole input, which only kernels before it read, too.
void findUpdatedInputs(Plan &plan);

} // namespace quern
