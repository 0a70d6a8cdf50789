//===- DotKernel.h - the register-tiled contraction kernel ----------------===//
//
// C[i, j] += sum over k of A[i, k] * B[k, j] on a tile of `rows` x `vectors`
// accumulators that stay in registers for the whole k range. One emitter serves
// Gemm and MatMul, direct convolution on NCHW and NCHWc inputs (the k range is a
// nest: channel block, kernel row, kernel column, lane), grouped and depthwise
// convolution (`vectorA`).
//
// The iteration space is batches x column tiles x lines; a line is one output
// row of a convolution (several tiles and a tail) or, in a flat space, one tile.
// Rows are `rowStrideA` apart in A and `rowStrideC` in C within a line.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/native/kernels/EpilogueLoads.h"
#include "backends/plan/LoweredStep.h"

namespace quern::native {

/// What shapes the code of a Dot kernel.
struct DotSpec {
  /// A stride or trip count that is a run-time dim.
  static constexpr int64_t kRuntime = -1;

  /// One level of the k nest, outermost first. The last level is unrolled.
  struct Level {
    int64_t trip = kRuntime;
    int64_t strideA = kRuntime;
    int64_t unroll = 1;
  };
  DType dtype = DType::Float32;
  int64_t lanes = 16;
  int64_t rows = 12;
  int64_t vectors = 2;
  /// Rows of the tile that ends a line (lines) or the whole space (flat); 0: none.
  int64_t tailRows = 0;
  bool flat = false;
  std::vector<Level> levels;
  int64_t rowStrideA = kRuntime;
  int64_t rowStrideC = kRuntime;
  /// A is read as vectors (depthwise: lane c of A meets lane c of B).
  bool vectorA = false;
  /// B is packed [column tile][k][vectors * lanes]; otherwise rows of B are
  /// DotDims::strideB apart.
  bool packedB = true;
  /// The vectors of a row of C are adjacent; otherwise DotDims::vectorStrideC apart.
  bool contiguousColumns = false;
  /// The last column tile is partial: mask loads and stores by DotDims::columns.
  bool maskColumns = false;
  /// What accumulators start from: an operand of C's rows and columns, or zero.
  std::optional<OperandAccess> bias;
  EpilogueCode epilogue;

  /// The spec of a product [rows, k] * [k, columns] of row-major results: a flat
  /// space in the tile that suits the sizes.
  static DotSpec product(const Target &target, DType dtype, int64_t rows, int64_t columns);

  /// The columns of a tile.
  int64_t tileColumns() const { return vectors * lanes; }
  /// "dot_14x32_relu".
  std::string name() const;
  /// Everything that shapes the code.
  std::string key() const;
  KernelSpec kernel() const;
};

/// The run-time dims of a Dot step; strides are in elements. Task t is
/// (batch * columnTiles + column tile) * lineChunks + chunk.
struct DotDims {
  int64_t columnTiles = 1;
  int64_t lineChunks = 1;
  int64_t linesPerChunk = 1;
  int64_t lines = 1;
  int64_t tilesPerLine = 1;
  int64_t lineStrideA = 0;
  int64_t lineStrideC = 0;
  int64_t batchStrideA = 0;
  int64_t batchStrideB = 0;
  int64_t batchStrideC = 0;
  /// Column tiles that share their rows of A (one group of a convolution), and
  /// the distance between groups in A.
  int64_t tilesPerGroup = 1;
  int64_t groupStrideA = 0;
  int64_t tileStrideB = 0;
  int64_t tileStrideC = 0;
  int64_t vectorStrideC = 0;
  int64_t rowStrideA = 0;
  int64_t rowStrideC = 0;
  int64_t strideB = 0;
  int64_t columns = 0;
  /// Bias and PerColumn/PerRow operands advance by this per batch (grouped NCHW).
  int64_t batchStrideBias = 0;
  /// Trip count and stride in A of each level.
  struct Level {
    int64_t trip = 1;
    int64_t strideA = 0;
  };
  Level levels[4];

  /// Splits the lines of every column tile of `batches` into chunks, so that there
  /// are tasks for `threads`.
  void splitLines(int64_t batches, double totalFlops, int64_t threads);
  /// The dims as the kernel reads them.
  std::vector<int64_t> flatten() const;
};

// Buffers of a Dot step: A, B, C, then the bias if any, then epilogue operands.

} // namespace quern::native
