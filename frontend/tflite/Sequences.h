//===- Sequences.h - what recurrent ops share -----------------------------===//
//
// Sequences are [steps, batch, size]. What the inputs of all steps give to a cell is one product;
// the steps are nn.recurrent where that has such a cell, and nn.scan else.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "frontend/tflite/OpReader.h"
#include "runtime/reference/Recurrent.h"

namespace quern::tflite {

/// Input `i` with its steps first, as real numbers.
mlir::Value sequenceOf(OpReader &op, int i, bool isTimeMajor);
/// Result `i`, whose steps are first.
void setSequence(OpReader &op, int i, mlir::Value sequence, bool isTimeMajor);

/// A state before the first step, [batch, size]: what input `i` holds, `nn.none` for zeros. The
/// variables in which LiteRT keeps states from run to run are zeros in each run.
mlir::Value firstState(OpReader &op, int i);

/// What of nn.recurrent is this; absent where it has none such.
std::optional<CellActivation> cellActivation(file::Activation activation);

/// The parts of nn.recurrent in one direction that these ops have.
struct Recurrence {
  CellKind cell = CellKind::Rnn;
  /// What the inputs and biases give, [steps, batch, gates * hidden].
  mlir::Value gates;
  /// [gates * hidden, hidden]
  mlir::Value weights;
  /// Null: zeros, none.
  mlir::Value h, c, peepholes;
  llvm::SmallVector<CellActivation, 3> activations;
  double cellClip = 0; ///< 0: any c
  bool isReverse = false;
};
/// [steps, batch, hidden]
mlir::Value createRecurrence(OpReader &op, const Recurrence &recurrence);

/// What a step makes of the states and its slice: the next states.
using Step = llvm::function_ref<llvm::SmallVector<mlir::Value>(llvm::ArrayRef<mlir::Value> states,
                                                               mlir::Value slice)>;
/// The first state after each step. From `first` on; each step has a slice of `gates` along its
/// first dimension.
mlir::Value scanSteps(OpReader &op, llvm::ArrayRef<mlir::Value> first, mlir::Value gates,
                      bool isReverse, Step step);
/// The state, or zeros [batch of `gates`, size] for `nn.none`.
mlir::Value stateOrZeros(OpReader &op, mlir::Value state, mlir::Value gates, mlir::Value size);

} // namespace quern::tflite
