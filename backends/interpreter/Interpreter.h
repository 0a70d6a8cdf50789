//===- Interpreter.h - runs nn graphs with the reference kernels ----------===//
#pragma once

#include "ir/ReferenceCall.h"
#include "quern/Limits.h"
#include "quern/Tensor.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <atomic>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace quern::interpreter {

/// How long one op took.
struct OpTiming {
  const std::string &nodeName;
  const std::string &opName;
  double milliseconds;
};

struct RunOptions {
  Limits limits = {};
  /// Called after each op, when set.
  std::function<void(const OpTiming &)> onTiming = {};
  /// Called with the results of each op and the name of its node, when set; what it fails with ends
  /// the run.
  std::function<Status(const std::string &nodeName, std::span<const AnyValue> results)> onResults =
      {};
  /// The run ends with StatusCode::Cancelled soon after this becomes true.
  const std::atomic<bool> *cancelled = nullptr;
  /// Results may share storage with inputs and with each other: for a caller that writes
  /// to none of them.
  bool mayShare = false;
};

/// A block of nn ops as calls of reference kernels, in order. Holds nothing of
/// MLIR; immutable, so that several threads may run it.
class ReferenceProgram {
public:
  /// Errors name the node that has no kernel. The inputs are the block's arguments
  /// and then `captured`, values from around it.
  static Expected<ReferenceProgram> create(mlir::Block &block,
                                           llvm::ArrayRef<mlir::Value> captured = {});

  /// The operands of the block's terminator, in their places or in storage that
  /// nothing else refers to. Inputs must fit the types of the block's arguments; tensors are
  /// released after their last use.
  Expected<std::vector<Tensor>> run(std::span<const Tensor> inputs,
                                    const RunOptions &options = {}) const;
  Expected<std::vector<AnyValue>> run(std::span<const AnyValue> inputs,
                                      const RunOptions &options = {}) const;
  /// The same as a part of other work, which holds budget.heldBytes() already.
  Expected<std::vector<AnyValue>> run(const ReferenceArguments &arguments,
                                      const RunOptions &options = {}) const;

  /// How often onTiming is called in a run.
  size_t stepCount() const { return steps.size(); }

private:
  /// One op; values live in numbered slots.
  struct Step {
    nn::ReferenceCall call;
    std::string nodeName;
    std::string opName;
    std::vector<size_t> operands;
    std::vector<size_t> results;
    /// Results of steps that no later step reads.
    std::vector<size_t> released;
    /// Inputs that no later step reads; the budget does not count them.
    std::vector<size_t> lastInputs;
  };

  Status runStep(const Step &step, std::vector<AnyValue> &slots,
                 const ReferenceArguments &arguments, const RunOptions &options) const;
  Tensor placeOf(size_t slot, std::span<const Tensor> places) const;
  void findLastUses();

  std::vector<std::pair<size_t, AnyValue>> constants;
  std::vector<Step> steps;
  std::vector<size_t> outputs;
  /// The inputs are in the first slots.
  size_t inputCount = 0;
  size_t slotCount = 0;
};

/// Runs `main` op by op. Inputs are checked against its signature; errors name
/// the node they come from.
Expected<std::vector<Tensor>> interpret(mlir::func::FuncOp main, std::span<const Tensor> inputs,
                                        const RunOptions &options = {});

Expected<std::vector<AnyValue>> interpretValues(mlir::func::FuncOp main,
                                                std::span<const AnyValue> inputs,
                                                const RunOptions &options = {});

/// An op, control flow or a fusion group, whose ops run one after the other, as a function of its
/// operands (see makeControlFlowCall for more that it takes).
Expected<nn::ReferenceCall> callOf(mlir::Operation &op);

/// Applies one op, or a fusion group, to tensors. Errors name the node.
Expected<std::vector<Tensor>> evaluate(mlir::Operation *op, std::span<const Tensor> inputs,
                                       Budget &budget);

} // namespace quern::interpreter
