//===- RecurrentTask.h - what tasks of RNN, GRU and LSTM work on ----------===//
//
// Made by RecurrentEmitter, which passes it from function to function.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/native/kernels/RecurrentKernel.h"

#include "mlir/IR/Value.h"

namespace quern::native::recurrent {

using mlir::Value;

/// A task: some sequences in one direction.
struct Task {
  Value direction, isReverse, firstSequence, rowCount;
  /// The packed recurrence of its direction.
  Value weights;
  /// The size of an array of states in the worker's memory. Besides two of h, a cell has one
  /// of c, or those of z and r * h, or none; and one of both h, rounded, where they are.
  Value arraySize, c, z, reset;
};

/// A time step, which makes h `after` of h `before`. As factors, these lie elsewhere where they
/// are rounded.
struct TimeStep {
  const Task &task;
  Value number, before, after, factorBefore, factorAfter;
};

/// The product that `count` gates from `first` on have with the states `from`.
struct GateProduct {
  int64_t first, count;
  Value from;
};

/// A tile: sequences by blocks of hidden units, at a time step.
struct Tile {
  const TimeStep &step;
  int64_t rows, blocks;
  /// Its first sequence among those of the task, its first block.
  Value firstRow, firstBlock;
};

/// Where a sequence of a tile is read and written at a time step.
struct Row {
  Value input, y;
  /// Where its state is among those of the task.
  Value state;
  /// Whether the sequence has such a step; null: it has all.
  Value exists;
};

/// The buffers that not every kernel has.
struct OptionalBuffers {
  enum { kFirst = 4, kAbsent = -1 };
  explicit OptionalBuffers(const RecurrentSpec &spec);
  int64_t finalC, bias, lengths, initialH, initialC, peepholes;
};

} // namespace quern::native::recurrent
