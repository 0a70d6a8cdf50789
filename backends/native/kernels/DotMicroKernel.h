//===- DotMicroKernel.h - a tile of accumulators over a nest of k loops ---===//
//
// sums[r, j] += sum over k of A[r, k] * B[k, j], on rows x vectors accumulators
// that stay in registers for the whole k range. Any emitter may call it: what
// accumulators start from and what becomes of them is the caller's business.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/native/kernels/DotEngine.h"

#include <vector>

namespace quern::native {

/// What shapes the code of a tile, but for its rows: one kernel has tiles of
/// several heights.
struct DotTile {
  /// A stride or trip count that is a run-time value.
  static constexpr int64_t kRuntime = -1;

  /// One level of the k nest, outermost first. The last level is unrolled. Trips
  /// count steps of the engine, strides elements.
  struct Level {
    int64_t trip = kRuntime;
    int64_t strideA = kRuntime;
    int64_t unroll = 1;
    /// Of the levels around others: B moves by a run-time stride, too, for not all that lies there
    /// is read; else it goes on where the trip before has ended.
    bool hasStrideB = false;

    QUERN_FIELDS(trip, strideA, unroll, hasStrideB)
  };

  DotTypes types;
  int64_t lanes = 16;
  int64_t vectors = 2;
  llvm::SmallVector<Level, 4> levels;
  int64_t rowStrideA = kRuntime;
  /// The rows of B that a tile reads follow each other: [k / group][vectors * lanes][group].
  bool packedB = true;
  /// Adjacent k elements of a step: 1, or DotTypes::group() where B is packed and A has them
  /// side by side.
  int64_t group = 1;
  /// Elements may be left over at the end of k that fill no group; B has zeros there.
  bool partialGroup = false;
  /// After the trips of the first level comes one more, whose last level has but so many steps: a
  /// block of channels that is not full. Between rounds of that level B has the rest of a block,
  /// which is left out. 0: there is none.
  int64_t lastSteps = 0;
  /// The last of these has but so many elements of its group; 0: all. What A has beside them may be
  /// no number, and is not read.
  int64_t lastElements = 0;
  /// Each step asks for so many cache lines of what of B is read later, DotOperands::ahead.
  int64_t linesAhead = 0;
  /// Neighbouring steps of the last level, which is unrolled so often, add to sums of their own,
  /// put together in the end: few sums wait for themselves.
  int64_t chains = 1;

  QUERN_FIELDS(types, lanes, vectors, levels, rowStrideA, packedB, group, partialGroup, lastSteps,
               lastElements, linesAhead, chains)
  int64_t columns() const { return vectors * lanes; }
  /// Cache lines of half of what a step reads of B, so that two tiles ask for all of the next.
  int64_t linesOfHalfAStep() const {
    constexpr int64_t kHalfBits = 2 * 64 * 8;
    return (columns() * group * dtypeBits(types.b) + kHalfBits - 1) / kHalfBits;
  }
};

/// What a tile reads; values that its DotTile bakes in may be null.
struct DotOperands {
  struct Level {
    mlir::Value trip = {}, strideA = {}, strideB = {};
  };
  std::vector<Level> levels;
  mlir::Value rowStrideA;
  /// Between rows of B, when it is not packed.
  mlir::Value strideB;
  /// Columns that exist of each vector of B, when it is not packed; empty: all.
  KernelBuilder::Values activeLanes;
  /// Where in B each vector of columns begins, when they do not follow each other: one
  /// of another gate, or of another block of packed columns. Empty: they do.
  KernelBuilder::Values vectorOffsets;
  /// How many elements are left over where DotTile::partialGroup says so.
  mlir::Value leftOver;
  /// Where DotTile::linesAhead says so: the place that the first step asks for, and the bytes from
  /// each line to the next one, 0 where there is no need. The place need not exist.
  mlir::Value ahead, aheadStride;
};

/// Emits tiles of one shape.
class DotMicroKernel {
public:
  using Values = KernelBuilder::Values;

  DotMicroKernel(KernelBuilder &kb, const DotTile &tile, DotOperands operands);

  /// `rows` x vectors zeros, row by row.
  Values zeros(int64_t rows);
  /// `sums` and the products of rows at `a` with columns at `b`.
  Values accumulate(int64_t rows, mlir::Value a, mlir::Value b, Values sums);
  /// `elements` of B from `pointer` on.
  mlir::Value advanceB(mlir::Value pointer, mlir::Value elements);

private:
  struct Cursor {
    mlir::Value a, b, ahead;
  };
  /// What loops carry, and the cursor of what they have carried, after which come the sums.
  static Values carriedOf(const Cursor &cursor, mlir::ValueRange sums);
  Cursor takeCursor(mlir::ValueRange &carried) const;
  /// `steps` steps after `from`.
  Cursor moved(const Cursor &from, mlir::Value strideA, int64_t steps);
  void askAhead(const Cursor &at);
  /// `sums` are of all chains, one after the other.
  Values emitLevel(size_t level, int64_t rows, Cursor &at, Values sums);
  /// A step that adds to the sums of one chain.
  Values emitStepOf(int64_t chain, int64_t rows, const Cursor &at, Values sums);
  Values joinChains(Values sums);
  Values emitLastTrip(int64_t rows, const Cursor &at, Values sums);
  /// `count`: how many elements of the group there are; null: all.
  Values emitStep(int64_t rows, const Cursor &at, Values sums, mlir::Value count = {});
  mlir::Value orIndex(int64_t baked, mlir::Value value) {
    return baked == DotTile::kRuntime ? value : kb.index(baked);
  }

  KernelBuilder &kb;
  const DotTile &tile;
  DotOperands operands;
  /// Rows of B that are left out after each round of the last level.
  int64_t skippedB = 0;
  /// Each round of the last level has one step more, of so many elements; 0: it has none.
  int64_t elementsBehind = 0;
  const DotEngine &engine;
};

} // namespace quern::native
