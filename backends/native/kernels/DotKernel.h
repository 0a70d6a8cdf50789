//===- DotKernel.h - products of whole matrices and convolutions ----------===//
//
// The driver of the Dot micro-kernel: C[i, j] += sum over k of A[i, k] * B[k, j].
// One emitter serves Gemm and MatMul, direct convolution on NCHW and NCHWc inputs
// (the k range is a nest: channel block, kernel row, kernel column, lane), grouped
// convolution, too.
//
// The iteration space is batches x column tiles x lines; a line is one output
// row of a convolution (several tiles) or, in a flat space, one tile. Rows are
// `rowStrideA` apart in A and `rowStrideC` in C within a line. A kernel has tiles
// of several heights, and the dims say how many of each cover a line: no number
// of rows has code of its own.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/native/emit/SpecKernel.h"
#include "backends/native/kernels/DotMicroKernel.h"
#include "backends/native/kernels/EpilogueLoads.h"
#include "backends/native/target/TileChoice.h"

#include <optional>

namespace quern::native {

/// What shapes the code of a Dot kernel.
struct DotSpec {
  static constexpr int64_t kRuntime = DotTile::kRuntime;

  DotTile tile;
  /// The heights of its tiles, tallest first.
  TileHeights heights;
  bool flat = false;
  int64_t rowStrideC = kRuntime;
  /// The vectors of a row of C are adjacent; otherwise DotDims::vectorStrideC apart.
  bool contiguousColumns = false;
  /// A, bias and PerColumn/PerRow operands begin again after DotDims::groups batches: they are
  /// of the groups of a convolution, whatever the image.
  bool groupsRepeat = false;
  /// The last column tile may be partial: mask loads and stores by DotDims::columns.
  bool maskColumns = false;
  /// Lines of the image lie outside of it: level 1 of the k nest, which is the rows of the filter,
  /// leaves out what meets them, by DotDims::clip. Both levels 0 and 1 have strides in B.
  bool clipsRows = false;
  /// What accumulators start from: an operand of C's rows and columns, or zero.
  std::optional<OperandAccess> bias;
  /// The sum of each block of k is scaled, by a number for each column, before it is added up.
  bool scaledBlocks = false;
  /// Before that, a number for each column times the sum of the block's A is taken from it: zero
  /// points. Blocks are of whole vectors then.
  bool shiftedBlocks = false;
  /// Many tiles of the tallest height widen what they read of a packed B once, into scratch memory
  /// of DotDims::tileStrideB sums; others in registers.
  bool widensPanel = false;
  /// Of a flat space and one level: k comes in DotDims::partsOfK, whose sums wait in scratch memory
  /// for the next one, so that what of B a part reads stays in the second cache.
  bool splitsK = false;
  EpilogueCode epilogue;

  static constexpr std::string_view kFamily = "dot";
  QUERN_FIELDS(tile, heights, flat, rowStrideC, contiguousColumns, groupsRepeat, maskColumns,
               clipsRows, bias, scaledBlocks, shiftedBlocks, widensPanel, splitsK, epilogue)
  /// "dot_14x32_relu".
  std::string name() const;
  void emit(KernelBuilder &kb) const;
};

/// The run-time dims of a Dot step, in their order; strides are in elements. Tasks follow each
/// other as those of LineTask do, batches as images and column tiles as columns.
struct DotDims {
  int64_t columnTiles = 1;
  int64_t lineParts = 1;
  int64_t chunksOfPart = 1;
  int64_t linesPerChunk = 1;
  int64_t lines = 1;
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
  /// Of a matrix, for operands that have numbers for those of each matrix of a batch.
  int64_t rowsOfBatch = 0;
  /// See DotSpec::groupsRepeat.
  int64_t groups = 1;
  /// Tiles of each height in a line, or in a flat space.
  TileCover tiles{};
  /// Trip count and strides of each level; that in B where DotTile has it.
  struct Level {
    int64_t trip = 1;
    int64_t strideA = 0;
    int64_t strideB = 0;
  };
  Level levels[4];
  /// Where the first tile begins to read.
  int64_t startA = 0;
  int64_t startB = 0;
  /// Of DotSpec::clipsRows: line y of C begins at row y * step - padTop of an image of `rows` rows,
  /// lineStride apart in A, and the filter's are `dilation` apart.
  struct Clip {
    int64_t rows = 0;
    int64_t padTop = 0;
    int64_t step = 1;
    int64_t dilation = 1;
    int64_t lineStride = 0;
  };
  Clip clip;
  /// Elements of A at the end of k that fill no group.
  int64_t leftOver = 0;
  /// Of scaled blocks: how many, and the elements of one along k; `levels` are of one.
  int64_t blocks = 1;
  int64_t blockSize = 0;
  /// Of DotSpec::splitsK: how many parts, and the steps of each but the last.
  int64_t partsOfK = 1;
  int64_t stepsOfPart = 0;
  /// Of DotTile::linesAhead: the bytes of the next column tile of B that each tile asks for, and
  /// all tiles of a line; those from one cache line to the next.
  int64_t aheadShare = 0;
  int64_t aheadShareOfLine = 0;
  int64_t aheadStride = 0;

  /// Covers lines of `rows` rows, or a flat space of them, with tiles of `spec`.
  void coverRows(const DotSpec &spec, int64_t rows);
  /// Of all lines.
  int64_t lineChunks() const { return lineParts * chunksOfPart; }
  /// Splits the lines of every column tile into chunks, so that there are tasks for all threads.
  void splitLines(const LineWork &work);
  /// Splits k and the chunks of lines, so that what a part reads of B and the sums of a chunk stay
  /// in the second cache. The order in which a sum is made is the same.
  void splitK(const DotSpec &spec);
  /// The scratch memory of sums of parts.
  int64_t bytesOfPartialSums(const DotSpec &spec) const;
  /// Shares the next column tile of B out among the tiles, when all else is known. Nothing where
  /// they are too few to ask for all of it: holes would mislead the CPU's own prefetching.
  void shareAhead(const DotSpec &spec);
};

// Buffers of a Dot step: A, B, C, then what there is of: the scales of blocks, and their zero
// points, [column tile][block][column]; the bias; the epilogue's operands.

} // namespace quern::native
