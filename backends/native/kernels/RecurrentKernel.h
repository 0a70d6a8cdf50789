//===- RecurrentKernel.h - all time steps of an RNN, GRU or LSTM ----------===//
//
// A task is some sequences of a batch in one direction, from their first step to their
// last: nothing is shared with other tasks, and a sequence has the same bits among any
// others. For a tile of sequences and a vector of hidden units all gates are summed up in
// registers, and there they become the next state.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/native/emit/SpecKernel.h"
#include "backends/native/kernels/DotEngine.h"
#include "backends/native/target/TileChoice.h"
#include "quern/DType.h"
#include "runtime/reference/Recurrent.h"

#include "llvm/ADT/SmallVector.h"

#include <optional>

namespace quern::native {

/// What shapes the code. Buffers: input, packed recurrence, Y, last h, then those that
/// there are of: last c, bias, lengths, initial h, initial c, peepholes.
struct RecurrentSpec {
  struct Activation {
    CellActivation function;
    double alpha, beta;
    bool operator==(const Activation &) const = default;
    QUERN_FIELDS(function, alpha, beta)
  };

  CellKind cell = CellKind::Lstm;
  /// Of the recurrence and of the states that meet it, and of all else. States are kept as they
  /// are, too, where they are rounded for the product.
  DType factors = DType::Float32, dtype = DType::Float32;
  int64_t lanes = 16;
  llvm::SmallVector<Activation, 3> activations;
  std::optional<double> clip, cellClip;
  bool inputForget = false, linearBeforeReset = false;
  bool hasBias = false, hasLengths = false, hasInitialH = false, hasInitialC = false,
       hasPeepholes = false;
  /// The hidden size may be no multiple of the lanes.
  bool maskTail = true;
  /// Nor of a group (DotTypes::group).
  bool partialGroup = false;
  /// A TileUnit multiplies; the hidden size is whole steps of it.
  bool tiled = false;
  /// Of tiles of one to four vectors.
  TileHeights heights[4];

  static constexpr std::string_view kFamily = "recurrent";
  QUERN_FIELDS(cell, factors, dtype, lanes, activations, clip, cellClip, inputForget,
               linearBeforeReset, hasBias, hasLengths, hasInitialH, hasInitialC, hasPeepholes,
               maskTail, partialGroup, tiled, heights)
  DotTypes types() const { return {factors, factors, dtype, dtype}; }
  std::string name() const {
    return (tiled ? "tiles_" : "") + types().label() + std::string(nameOf(cell));
  }
  void emit(KernelBuilder &kb) const;
  /// Arrays of [rows, hidden size in whole vectors] that a worker needs.
  int64_t stateArrays() const;
  /// What tiles multiply at once: sequences, and hidden units along k.
  static constexpr int64_t kTileRows = 32, kTileDepth = 32;
  /// Bytes of a worker's memory for tasks of `rows` sequences with states of `columns`.
  int64_t scratchBytes(int64_t rows, int64_t columns) const;
};

/// Run-time sizes. The recurrence is packed as [directions * gates][hidden / lanes]
/// [hidden / group][lanes][group], with zeros at the end.
struct RecurrentDims {
  int64_t steps, batch, hidden, directions;
  /// Of the tasks, and the first one that reads a sequence from its end.
  int64_t firstDirection = 0, firstReverse = 0;
  /// Sequences of a task, and tasks of a direction.
  int64_t rows = 0, chunks = 0;
};

} // namespace quern::native
