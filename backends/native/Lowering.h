//===- Lowering.h - from ops and fusion groups to plan steps --------------===//
//
// Every op family has a file Emit<Family>.cpp that turns its groups and opaque
// ops into steps: a kernel (keyed before it is emitted, so that equal kernels
// are emitted once), the buffers it works on and its run-time dims.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/native/KernelBuilder.h"
#include "backends/native/ScalarProgram.h"
#include "quern/CheckedSize.h"
#include "quern/Tensor.h"

#include "mlir/IR/Operation.h"

#include <functional>
#include <string>
#include <variant>
#include <vector>

namespace quern::native {

/// A kernel that has not been emitted yet.
struct KernelSpec {
  /// Readable: "dot_12x32_relu". Need not be unique.
  std::string name;
  /// Everything that shapes the code; equal keys are the same kernel.
  std::string key;
  std::function<void(KernelBuilder &)> emit;
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
  /// The constant, not packed.
  Tensor tensor;
  /// Makes the packed tensor, in parallel with others and only when no tensor of
  /// the same non-empty `packKey` exists.
  std::function<Expected<Tensor>()> pack;
  std::string packKey;
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
  /// `source` is the unpacked constant; `how` names the packing.
  static StepBuffer packed(const Tensor &source, const std::string &how,
                           std::function<Expected<Tensor>(const Tensor &)> pack);
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
  double flops = 0;
  double bytes = 0;
};

/// The steps of one op, or the reason why there is no native code for it (then
/// it runs on its reference kernel, and `quern check` shows the reason).
struct LoweringResult {
  std::vector<LoweredStep> steps;
  std::string refusal;

  static LoweringResult of(LoweredStep step) {
    LoweringResult result;
    result.steps.push_back(std::move(step));
    return result;
  }
  static LoweringResult refuse(std::string reason) { return {{}, std::move(reason)}; }
  bool isNative() const { return refusal.empty(); }
};

/// What every lowering may ask.
struct LoweringContext {
  const Target &target;
  /// Threads the plan is tuned for (task sizes only; results do not depend on it).
  int64_t threads = 1;
};

/// All operand and result types of `op` are static (checked by the caller).
/// `op` is an `nn.group` or an opaque op.
using LoweringFunction = LoweringResult (*)(mlir::Operation *op, const LoweringContext &context);

/// Whether there is native code for ops like `op` at all. For the op itself its
/// shapes, types and attributes decide.
bool hasLowering(mlir::Operation *op);

/// Finds the lowering of `op`: a group's by its root (or Map when it has none).
LoweringResult lowerOperation(mlir::Operation *op, const LoweringContext &context);

// One per family, in Emit<Family>.cpp.
LoweringResult lowerMapGroup(mlir::Operation *group, const LoweringContext &context);
LoweringResult lowerContraction(mlir::Operation *group, const LoweringContext &context);
LoweringResult lowerConv(mlir::Operation *group, const LoweringContext &context);
LoweringResult lowerPool(mlir::Operation *group, const LoweringContext &context);
LoweringResult lowerReduction(mlir::Operation *op, const LoweringContext &context);
LoweringResult lowerNormalization(mlir::Operation *op, const LoweringContext &context);
LoweringResult lowerDataMovement(mlir::Operation *op, const LoweringContext &context);

/// How a group's extra operand is read where the root's result is computed.
enum class OperandAccess {
  Full,    ///< at the same index as the result: same shape
  Channel, ///< one element per channel (dimension 1 of NCHW, or blocked channels)
  Column,  ///< one element per last-dimension index
  Scalar,  ///< a single element
};

/// The elementwise part of a group that has a root: the root's result is input 0.
struct Epilogue {
  ScalarProgram program;
  struct Operand {
    mlir::Value value; ///< the group operand, outside the group
    OperandAccess access;
  };
  /// Inputs 1.. of the program.
  std::vector<Operand> operands;
};

/// The root of a group (its FusionKind::Root op), or null. A root op outside a
/// group is its own root.
mlir::Operation *groupRoot(mlir::Operation *group);
/// The value outside `group` that its body value `inner` stands for; `inner`
/// itself when it is defined in the body.
mlir::Value outerValue(mlir::Operation *group, mlir::Value inner);
/// The epilogue of a group with one root, one result and static types; nullopt
/// with `reason` when an operand's access is none of OperandAccess. `blocked`
/// says that the result is [N, C/b, spatial..., b]; Channel then spans both its
/// dimension 1 and the lanes.
std::optional<Epilogue> buildEpilogue(mlir::Operation *group, bool blocked, std::string &reason);

} // namespace quern::native
