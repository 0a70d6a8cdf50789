//===- DotMicroKernel.h - a tile of accumulators over a nest of k loops ---===//
//
// sums[r, j] += sum over k of A[r, k] * B[k, j], on rows x vectors accumulators
// that stay in registers for the whole k range. Any emitter may call it: what
// accumulators start from and what becomes of them is the caller's business.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/native/emit/KernelBuilder.h"
#include "backends/native/target/Fields.h"

#include <string>
#include <vector>

namespace quern::native {

/// The element types of a product: its operands, its sums, its result. Sums of integers
/// wrap; operands may be narrower than they.
struct DotTypes {
  DType a = DType::Float32, b = DType::Float32, accumulate = DType::Float32, c = DType::Float32;
  static DotTypes all(DType dtype) { return {dtype, dtype, dtype, dtype}; }
  QUERN_FIELDS(a, b, accumulate, c)
  /// Whether products of this type sum up natively: of the types of 32 and 64 bits.
  static bool isNative(DType dtype) {
    bool isInteger = isSignedInteger(dtype) || isUnsignedInteger(dtype);
    return (isInteger || isFloat(dtype)) && dtypeBits(dtype) >= 32;
  }
};

/// What shapes the code of a tile, but for its rows: one kernel has tiles of
/// several heights.
struct DotTile {
  /// A stride or trip count that is a run-time value.
  static constexpr int64_t kRuntime = -1;

  /// One level of the k nest, outermost first. The last level is unrolled. Trips
  /// count steps of the instruction, strides elements of A.
  struct Level {
    int64_t trip = kRuntime;
    int64_t strideA = kRuntime;
    int64_t unroll = 1;

    QUERN_FIELDS(trip, strideA, unroll)
  };

  DotTypes types;
  int64_t lanes = 16;
  int64_t vectors = 2;
  llvm::SmallVector<Level, 4> levels;
  int64_t rowStrideA = kRuntime;
  /// A is read as vectors (depthwise: lane c of A meets lane c of B).
  bool vectorA = false;
  /// The rows of B that a tile reads follow each other: [k][vectors * lanes].
  bool packedB = true;

  QUERN_FIELDS(types, lanes, vectors, levels, rowStrideA, vectorA, packedB)
  int64_t columns() const { return vectors * lanes; }
};

/// What a tile reads; values that its DotTile bakes in may be null.
struct DotOperands {
  struct Level {
    mlir::Value trip, strideA;
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
};

/// One step along k: what it reads of A and B, and what it does to a sum. Types
/// for which a target has better (several k elements at a time) have their own.
struct DotInstruction {
  /// Adjacent k elements that a step takes.
  int64_t group = 1;
  /// The elements of one row, for all lanes of a vector.
  mlir::Value (*loadA)(KernelBuilder &kb, const DotTile &tile, mlir::Value pointer);
  /// The elements of one vector of columns.
  mlir::Value (*loadB)(KernelBuilder &kb, const DotTile &tile, mlir::Value pointer,
                       mlir::Value active);
  mlir::Value (*add)(KernelBuilder &kb, const DotTile &tile, mlir::Value a, mlir::Value b,
                     mlir::Value sum);
};
const DotInstruction &dotInstruction(const DotTypes &types);

/// Emits tiles of one shape.
class DotMicroKernel {
public:
  using Values = KernelBuilder::Values;

  DotMicroKernel(KernelBuilder &kb, const DotTile &tile, DotOperands operands);

  /// `rows` x vectors zeros, row by row.
  Values zeros(int64_t rows);
  /// `sums` and the products of rows at `a` with columns at `b`.
  Values accumulate(int64_t rows, mlir::Value a, mlir::Value b, Values sums);

private:
  struct Cursor {
    mlir::Value a, b;
  };
  Values emitLevel(size_t level, int64_t rows, Cursor &at, Values sums);
  Values emitStep(int64_t rows, const Cursor &at, Values sums);
  mlir::Value orIndex(int64_t baked, mlir::Value value) {
    return baked == DotTile::kRuntime ? value : kb.index(baked);
  }

  KernelBuilder &kb;
  const DotTile &tile;
  DotOperands operands;
  const DotInstruction &instruction;
};

} // namespace quern::native
