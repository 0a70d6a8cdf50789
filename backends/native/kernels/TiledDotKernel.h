//===- TiledDotKernel.h - products and convolutions by tiles of matrices --===//
//
// What a Dot kernel computes, by a TileUnit: up to 32 rows by 32 columns at a time, in two halves
// of up to 16 rows each, or up to 16 rows by 64. All of a step are of the same rows, so that tiles
// are configured once: where they do not divide what there is, the last begins earlier, and stores
// no row twice. Lines of few pixels are taken two at a time, or as many as fit: a half reads from
// the first to the last of its lines, with the halo between them, and rows of the halo are not
// stored. The sums go through memory to the epilogue.
//
// All chunks of lines are parts (DotDims::lineParts): a chunk's rows of A stay in the cache while
// all columns pass by.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/native/kernels/DotKernel.h"
#include "backends/native/kernels/TileUnit.h"

namespace quern::native {

/// What shapes the code.
struct TiledDotSpec {
  /// Its tile, but for heights and unrolling, and what surrounds it; packed B, and no blocks. A
  /// step of the innermost level is TiledDotDims::stepElements. Strides of rows are run-time ones,
  /// as a tile is loaded by one instruction whatever they are, but of rows of C that are a vector
  /// each; DotTile::linesAhead is 0, or the most that TiledDotDims::linesAhead may be.
  DotSpec dot;
  /// Elements may be left over at the end of k that fill no step, on the one level that there is;
  /// B has zeros there.
  bool partialStep = false;
  /// Tiles have no second half (TiledDotDims::secondRows).
  bool oneHalf = false;

  static constexpr std::string_view kFamily = "tiled_dot";
  QUERN_FIELDS(dot, partialStep, oneHalf)
  /// "tiles_bf16_32x64_relu".
  std::string name() const;
  void emit(KernelBuilder &kb) const;
};

/// The run-time dims, in their order.
struct TiledDotDims {
  static constexpr int64_t kHalfRows = TileUnit::kRows, kTileRows = 2 * kHalfRows, kLanes = 16;
  /// Sums of 32 rows by 32 columns, or 16 by 64.
  static constexpr int64_t kElementsOfBlock = kTileRows * 2 * kLanes;
  static constexpr int64_t kMostLinesAhead = 16;

  /// `lines` counts units of work: several lines, lines, or tiles of a flat space.
  DotDims dot;
  std::array<int64_t, 3> configuration{};
  /// Of a tile: rows of each half, of which the second may have none.
  int64_t firstRows = 1, secondRows = 0;
  /// From a half to the other in A.
  int64_t secondA = 0;
  /// Rows of a line or of a flat space, and how far tiles are apart in it; tiles of a line.
  int64_t lineRows = 1, tileStep = 1, tilesOfLine = 1;
  /// All lines, those of a unit and of a half; from one to the next in a half, in rows, and what is
  /// stored of each: all rows of a tile if a unit has one line.
  int64_t allLines = 1, linesOfUnit = 1, linesOfHalf = 1, lineGap = 0, storedRows = 1;
  /// Elements of A of a step, and those left over (TiledDotSpec::partialStep).
  int64_t stepElements = 0, leftOver = 0;
  /// Cache lines of the next column tile of B that a step asks for: none, or a power of 2 from 2
  /// on.
  int64_t linesAhead = 0;
  /// Bytes of DotDims::aheadShare for which the columns that a tile multiplies at a time ask.
  int64_t aheadShareOfPass = 0;
  /// A trip of the first level: elements of a column tile of B that it reads, and bytes of
  /// aheadShareOfPass for which it asks.
  int64_t tripElementsB = 0, aheadShareOfTrip = 0;

  /// Splits `lines` of `rows` rows, or a flat space of them, into tiles, whose rows are
  /// `stepBytes` long; strides of `dot` are there already, or in `spec`, which they leave. Sets
  /// TiledDotSpec::oneHalf.
  void coverRows(TiledDotSpec &spec, int64_t lines, int64_t rows, int64_t stepBytes);
  /// Splits units into chunks: tasks for all threads, and rows of A that stay in the cache.
  void splitLines(const LineWork &work);
  /// Shares the next column tile of B out among the tiles of a chunk, when all else is known, and
  /// sets linesAhead to what a step has to ask for, and `spec` to ask. Nothing where a tile would
  /// have to ask for all that it reads itself, or where so many read a column tile that waiting for
  /// it once is nothing.
  void shareAhead(TiledDotSpec &spec);
  /// Splits k into parts, of which B stays in the first cache, where several tiles of rows read it;
  /// before shareAhead. The order in which a sum is made is the same. Sets DotSpec::splitsK.
  void splitK(TiledDotSpec &spec);
  /// Two halves of as many whole lines as fit.
  void pairHalves();
  /// The scratch memory of sums of parts.
  int64_t bytesOfPartialSums(const TiledDotSpec &spec) const;
};

/// How many times as fast as vectors tiles are, when it comes to what a task is worth.
constexpr double kTileSpeed = 8;

/// Tasks that are worth handing to another thread, by their products, or by what they read of B
/// where few rows share it.
int64_t grainOfTiles(int64_t tasks, const LineWork &work);

/// The elements of one step along k where rows of A have `elements` of the type side by side.
int64_t stepElementsOf(DType a, int64_t elements);

/// Whether tiles are faster than vectors for `rows` rows of a line and `steps` steps along k, of
/// `stepBytes` of a row of A each.
bool tilesPay(const DotTypes &types, int64_t rows, int64_t steps, int64_t stepBytes);

} // namespace quern::native
