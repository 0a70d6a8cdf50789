//===- Lowering.h - from ops and fusion groups to plan steps --------------===//
//
// Every op family has a file Lower<Family>.cpp that turns its groups and opaque
// ops into steps: a kernel (keyed before it is emitted, so that equal kernels
// are emitted once), the buffers it works on and its run-time dims.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/native/emit/KernelBuilder.h"
#include "backends/native/kernels/EpilogueLoads.h"
#include "backends/native/kernels/MapKernel.h"
#include "backends/native/kernels/ScalarProgram.h"
#include "backends/native/target/Target.h"
#include "backends/plan/LoweredStep.h"
#include "backends/plan/ShapeEnvironment.h"
#include "quern/Precision.h"

#include "mlir/IR/Operation.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace quern::native {

class TuningTable;
class WayLog;

/// What every lowering may ask.
struct LoweringContext {
  const Target &target;
  /// Threads the plan is tuned for (task sizes only; results do not depend on it).
  int64_t threads = 1;
  /// The sizes to lower for.
  const plan::ShapeEnvironment &values;
  /// What was measured of ways of computing ops; null: nothing.
  const TuningTable *tuning = nullptr;
  WinogradUse winograd = WinogradUse::Auto;
  /// Hears which ways there were to choose from; null: nobody does.
  WayLog *log = nullptr;
  /// Less precision has been asked for: what rounds to bfloat16 may make zero of subnormal numbers,
  /// as products do.
  bool flushesHalves = false;

  llvm::ArrayRef<int64_t> sizesOf(mlir::Value value) const { return values.sizesOf(value); }
  int64_t elementsOf(mlir::Value value) const { return values.elementsOf(value); }
  /// The size of a dimension where it is the same whatever the sizes to lower for:
  /// only such sizes may shape code, so that new ones find their kernels.
  std::optional<int64_t> fixedSize(mlir::Value value, int64_t dim) const;
};

/// Whether there is native code for ops like `op` at all. For the op itself its
/// shapes, types and attributes decide.
bool hasLowering(mlir::Operation *op);

/// Finds the lowering of `op`, an `nn.group` or an opaque op: a group's by its anchor
/// (or Map when it has none). The sizes of all its operands and results are known.
LoweringResult lowerOperation(mlir::Operation *op, const LoweringContext &context);

/// The lowerings of all families.
class NativeLowering : public plan::OpLowering {
public:
  NativeLowering(Target target, int64_t threads,
                 std::shared_ptr<const TuningTable> tuning = nullptr,
                 WinogradUse winograd = WinogradUse::Auto, std::shared_ptr<WayLog> log = nullptr,
                 std::vector<std::shared_ptr<plan::StepObserver>> observers = {},
                 bool flushesHalves = false)
      : target(std::move(target)), threads(threads), tuning(std::move(tuning)), winograd(winograd),
        log(std::move(log)), allObservers(std::move(observers)), flushesHalves(flushesHalves) {}
  bool hasLowering(mlir::Operation *op) const override { return native::hasLowering(op); }
  LoweringResult lower(mlir::Operation *op, const plan::ShapeEnvironment &values) const override {
    return lowerOperation(
        op, {target, threads, values, tuning.get(), winograd, log.get(), flushesHalves});
  }
  LoweredStep copyBytes(const StepBuffer &from, const StepBuffer &to, int64_t bytes) const override;
  plan::StepEstimate estimate(const LoweredStep &step, const StepCost &problem) const override;
  double nanosecondsToMove(double bytes, double distance) const override;
  std::span<const std::shared_ptr<plan::StepObserver>> observers() const override {
    return allObservers;
  }

private:
  Target target;
  int64_t threads;
  std::shared_ptr<const TuningTable> tuning;
  WinogradUse winograd;
  std::shared_ptr<WayLog> log;
  std::vector<std::shared_ptr<plan::StepObserver>> allObservers;
  bool flushesHalves;
};

/// The dimensions of a result that its kernel counts as rows and as columns; an
/// operand that varies along all of one kind and no others is read per row or
/// per column.
struct ResultAxes {
  llvm::SmallVector<int64_t> rows, columns;
  /// The same with all dimensions of a batch.
  llvm::SmallVector<int64_t> rowsOfBatch = {}, columnsOfBatch = {};
  /// Of [N, C, spatial...]: channels are rows; of [N, C/b, spatial..., b], with
  /// `blocked`: channels are columns.
  static ResultAxes ofChannels(int64_t rank, bool blocked);
};

/// The epilogue of a group with one anchor, one result and known sizes, unless an operand's
/// access is none of OperandAccess.
ReasonOr<Epilogue, Misfit> buildEpilogue(mlir::Operation *group, const LoweringContext &context,
                                         const ResultAxes &axes);

/// Adds the buffers of what `epilogue` reads beside the anchor's result.
void addOperands(const Epilogue &epilogue, LoweredStep &step);

/// "no native code for string elements".
Reason noCodeFor(DType dtype);

/// How `operand` is read by the kernel that computes `result`; nullopt when it is
/// none of OperandAccess.
std::optional<OperandAccess> accessOf(mlir::Value operand, mlir::Value result,
                                      const ResultAxes &axes, const LoweringContext &context);

/// Strides that read `from`, a contiguous tensor, broadcast to the shape of `to`.
Sizes broadcastStrides(mlir::Value from, mlir::Value to, const LoweringContext &context);

} // namespace quern::native
