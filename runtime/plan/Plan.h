//===- Plan.h - what a compiled graph is at run time ----------------------===//
#pragma once

#include "quern/Explanation.h"
#include "quern/StepCost.h"
#include "runtime/plan/StepKinds.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace quern {

struct PlanStep {
  StepWork work;
  /// The ONNX nodes this step computes ("conv1+relu1").
  SharedText nodes;
  /// The kernel's readable name ("dot_12x32_relu") or the op name.
  SharedText kernel;
  /// What it does of the problem of its op.
  StepCost cost = {};
  /// How long it is expected to take in one thread; 0: nobody can tell.
  double expectedNanoseconds = 0;
  /// The number of steps, from this kernel step on, that need nothing of each other and may run
  /// side by side.
  uint32_t wave = 1;
  /// Dynamic slots that are not needed after this step.
  std::vector<uint32_t> released = {};

  /// Calls `visitor` with the work, of whatever kind it is.
  template <typename Visitor> decltype(auto) visit(Visitor &&visitor) const {
    return std::visit(
        [&](auto &held) -> decltype(auto) { return std::forward<Visitor>(visitor)(unboxed(held)); },
        work);
  }
  template <typename Visitor> decltype(auto) visit(Visitor &&visitor) {
    return std::visit(
        [&](auto &held) -> decltype(auto) { return std::forward<Visitor>(visitor)(unboxed(held)); },
        work);
  }
  /// The work, if it is of this kind; null otherwise.
  template <typename Step> const Step *as() const {
    return visit([](auto &found) -> const Step * {
      if constexpr (std::is_same_v<std::remove_cvref_t<decltype(found)>, Step>)
        return &found;
      return nullptr;
    });
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
  /// Of an output: the input in whose memory it may be made, by changing some elements, or writing
  /// behind them.
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

  /// The most steps of a wave.
  static constexpr uint32_t kMostInWave = 16;
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
ValueRefs refsOf(const PlanStep &step);

/// Sets PlanStep::released of all steps: a slot ends with the last step that uses it,
/// unless it is an output. Inputs that no step uses end with the first step.
void releaseSlotsAfterLastUse(Plan &plan);
/// Whether an input may be the beginning of an output: of the same type and sizes, but that the
/// output may be larger along its first dimension that is not 1.
bool continues(const PlanPort &output, const PlanPort &input);
/// Sets PlanPort::updates of all outputs: such an output is first written by a copy of
/// the whole input to its beginning. If it is no larger than the input, only kernels before the
/// copy read that, too; else the rest alone is written afterwards. Copies that do not allow it are
/// appended to `refusals`, unless that is null.
void findUpdatedInputs(Plan &plan, std::vector<Refusal> *refusals = nullptr);

} // namespace quern
