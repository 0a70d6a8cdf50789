//===- LoweredStep.h - plan steps before buffers have addresses -----------===//
#pragma once

#include "backends/plan/ShapeEnvironment.h"
#include "backends/plan/StepEstimate.h"
#include "ir/WeightStore.h"
#include "quern/CheckedSize.h"
#include "quern/Reason.h"
#include "quern/StepCost.h"
#include "quern/Tensor.h"

#include "mlir/IR/Operation.h"

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace quern::plan {

class StepObserver;

/// What a backend emits a kernel from.
class KernelSource {
public:
  virtual ~KernelSource() = default;
  /// Everything that shapes the code, to be read.
  virtual std::string text() const = 0;
};

/// A kernel that has not been emitted yet.
struct KernelSpec {
  /// Readable: "dot_12x32_relu". Need not be unique.
  std::string name;
  /// Everything that shapes the code, as bytes; equal keys are the same kernel.
  std::string key;
  std::shared_ptr<const KernelSource> source;
};

/// What a buffer of a step is.
struct StepBuffer {
  enum class Kind {
    Value,   ///< the graph value `value`, read or written
    Weights, ///< the constant `tensor`, or what `pack` makes of one
    Scratch, ///< `bytes` that live during this op's steps only, numbered by `number`
    Output,  ///< graph output `number`
  };
  Kind kind = Kind::Value;
  mlir::Value value;
  /// A constant that is made while lowering, as it is.
  Tensor tensor;
  /// Makes the packed tensor, in parallel with others; where plans share it, only when no tensor
  /// of the same `packKey` exists, which tells both the weights and what is made of them.
  std::function<Expected<Tensor>()> pack;
  std::string packKey;
  /// What `pack` makes of any weights: equal, and not empty, for the same.
  std::string packing;
  /// The size of what is packed.
  int64_t sourceBytes = 0;
  CheckedSize bytes;
  uint32_t number = 0;
  /// Bytes to skip at the start.
  int64_t offset = 0;

  static StepBuffer of(mlir::Value v, int64_t offset = 0) {
    StepBuffer b;
    b.value = v;
    b.offset = offset;
    return b;
  }
  static StepBuffer weights(Tensor t) {
    StepBuffer b;
    b.kind = Kind::Weights;
    b.tensor = std::move(t);
    return b;
  }
  /// Weights up to this size are made for each plan; plans share larger ones.
  static constexpr int64_t kKeptBytes = 4096;
  bool isShared() const { return pack && sourceBytes > kKeptBytes; }
  /// Packs a view of a weight (see WeightSource::view); `done` may be told of bytes
  /// that are not needed any more.
  using PackFunction = std::function<Expected<Tensor>(
      const Tensor &view, const std::function<void(int64_t begin, int64_t end)> &done)>;
  /// `source` is the constant, which is let go when it is packed; `how` names the
  /// packing.
  static StepBuffer packed(const nn::WeightSource &source, const std::string &how,
                           PackFunction pack);
  static StepBuffer scratchSpace(uint32_t number, CheckedSize bytes) {
    StepBuffer b;
    b.kind = Kind::Scratch;
    b.number = number;
    b.bytes = bytes;
    return b;
  }
  static StepBuffer output(uint32_t number) {
    StepBuffer b;
    b.kind = Kind::Output;
    b.number = number;
    return b;
  }
};

/// A plan step before buffers have addresses.
struct LoweredStep {
  KernelSpec kernel;
  std::vector<StepBuffer> buffers;
  std::vector<int64_t> dims;
  int64_t tasks = 1;
  int64_t grain = 1;
  /// Memory of its own that each worker gets for the kernel; 0: none.
  int64_t scratchBytes = 0;
  /// The part of the op's problem that it does: together those of all its steps are 1. What only
  /// prepares other steps, or puts in place what they have made, does none.
  double share = 1;
  /// The name of the way that computes the op, where there are several.
  const char *way = "";
  /// Buffers that the result may share memory with: the step reads each of their
  /// elements just before it writes the result's at the same place.
  std::vector<uint32_t> overwritable = {};
  /// It copies all of buffer 0 to the beginning of buffer 1, and later steps of the op need only
  /// that: it is left out where both begin at one place.
  bool copiesWhole = false;
};

/// The steps of one op; none when there is nothing to compute.
using LoweredSteps = std::vector<LoweredStep>;
inline LoweredSteps oneStep(LoweredStep step) {
  LoweredSteps steps;
  steps.push_back(std::move(step));
  return steps;
}

/// Why there is no native code for an op or a group.
struct Misfit : Reason {
  Misfit(Reason reason, mlir::Operation *at = nullptr) : Reason(std::move(reason)), at(at) {}

  /// The first op in the group that its kernel cannot compute, when that is known: what is
  /// before it may stay together.
  mlir::Operation *at;
};

/// Says the share of the steps from `first` on.
void setShares(LoweredSteps &steps, size_t first, double share);

/// The steps of one op, or why there is no native code for it: then it runs on its reference
/// kernel, and a group is cut.
using LoweringResult = ReasonOr<LoweredSteps, Misfit>;

/// Turns ops into steps; a backend's.
class OpLowering {
public:
  virtual ~OpLowering() = default;
  /// Whether there is native code for ops like `op` at all. For the op itself its
  /// shapes, types and attributes decide.
  virtual bool hasLowering(mlir::Operation *op) const = 0;
  /// `op` is an `nn.group` or an opaque op; `values` has the sizes of its operands and results.
  virtual LoweringResult lower(mlir::Operation *op, const ShapeEnvironment &values) const = 0;
  /// A step that copies `bytes` bytes.
  virtual LoweredStep copyBytes(const StepBuffer &from, const StepBuffer &to,
                                int64_t bytes) const = 0;
  /// How long `step`, which does `problem`, is expected to take.
  virtual StepEstimate estimate(const LoweredStep & /*step*/, const StepCost & /*problem*/) const {
    return {};
  }
  /// How long it takes until bytes come, or are gone, which were touched when `distance` bytes
  /// were still to be touched before them; 0 when they are near.
  virtual double nanosecondsToMove(double /*bytes*/, double /*distance*/) const { return 0; }
  /// Who looks at what the steps compute, in the order in which they do; mostly nobody.
  virtual std::span<const std::shared_ptr<StepObserver>> observers() const { return {}; }
};

} // namespace quern::plan
