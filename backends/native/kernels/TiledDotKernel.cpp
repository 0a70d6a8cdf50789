//===- TiledDotKernel.cpp - products and convolutions by tiles of matrices ===//
#include "backends/native/kernels/TiledDotKernel.h"

#include "backends/native/kernels/DotDriver.h"
#include "runtime/values/CeilDiv.h"

#include "ir/ScalarEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <algorithm>
#include <fmt/compile.h>
#include <fmt/format.h>

using namespace mlir;
using namespace quern;
using namespace quern::native;

constexpr int64_t kHalfRows = TileUnit::kRows, kTileRows = 2 * kHalfRows, kLanes = 16;

//===----------------------------------------------------------------------===//
// Choices
//===----------------------------------------------------------------------===//

int64_t native::stepElementsOf(DType a, int64_t elements) {
  return std::min(elements, TileUnit::kRowBytes / dtypeBytes(a));
}

// In cycles of one step for 32 columns on Sapphire Rapids. Vectors: two for each group of bytes, of
// which two begin in a cycle, and of bfloat16, of which one begins in two cycles. Tiles: two rows
// of sums for each row, but not less than the loads of two tiles of B take; and once, what it takes
// until the sums are in memory.
bool native::tilesPay(const DotTypes &types, int64_t rows, int64_t steps, int64_t stepBytes) {
  constexpr int64_t kLatency = 4, kOnce = 100;
  int64_t groups = stepBytes / 4, tileRows = std::min(rows, kTileRows);
  int64_t ofVectors = tileRows * groups * (types.a == DType::BFloat16 ? 4 : 1);
  int64_t ofTiles = std::max(2 * tileRows, groups + kLatency);
  return steps * ofVectors > steps * ofTiles + kOnce;
}

//===----------------------------------------------------------------------===//
// Dims
//===----------------------------------------------------------------------===//

void TiledDotDims::coverRows(const TiledDotSpec &spec, int64_t lines, int64_t rows,
                             int64_t stepBytes) {
  auto strideOf = [](int64_t baked, int64_t stride) {
    return baked == DotSpec::kRuntime ? stride : baked;
  };
  int64_t rowStrideA = strideOf(spec.dot.tile.rowStrideA, dot.rowStrideA);
  int64_t rowStrideC = strideOf(spec.dot.rowStrideC, dot.rowStrideC);
  bool pairs = !spec.dot.flat && rows <= kHalfRows && lines > 1;
  int64_t tiles = ceilDiv(rows, kTileRows), tileRows = ceilDiv(rows, tiles);
  lineRows = rows;
  tileStep = tileRows;
  firstRows = std::min(tileRows, kHalfRows);
  secondRows = pairs ? firstRows : tileRows - firstRows;
  secondA = pairs ? dot.lineStrideA : firstRows * rowStrideA;
  extraC = pairs ? dot.lineStrideC - firstRows * rowStrideC : 0;
  extraRow = pairs ? -firstRows : 0;
  tilesOfLine = spec.dot.flat ? 1 : tiles;
  allLines = spec.dot.flat ? 1 : lines;
  linesOfUnit = pairs ? 2 : 1;
  dot.lines = spec.dot.flat ? tiles : ceilDiv(lines, linesOfUnit);
  // Sums 0 to 3, by rows; A 4 and 5; B 6 and 7.
  int64_t halves[] = {firstRows, firstRows, secondRows, secondRows, firstRows, secondRows};
  TileUnit::Configuration shapes;
  for (size_t tile = 0; tile < std::size(halves); ++tile) {
    shapes.rows[tile] = halves[tile];
    shapes.rowBytes[tile] = halves[tile] == 0 ? 0 : tile < 4 ? TileUnit::kRowBytes : stepBytes;
  }
  for (size_t tile : {6, 7}) {
    shapes.rows[tile] = stepBytes / 4;
    shapes.rowBytes[tile] = TileUnit::kRowBytes;
  }
  configuration = shapes.words();
}

void TiledDotDims::splitLines(int64_t batches, double totalFlops, double bytesOfA,
                              int64_t threads) {
  // Half of the second-level cache of the CPUs that have tiles.
  constexpr double kChunkBytes = 1 << 20;
  auto forCache = static_cast<int64_t>(std::min(bytesOfA / kChunkBytes, double(dot.lines)));
  int64_t forThreads =
      chooseLineChunks(dot.lines, dot.columnTiles * batches, totalFlops / kTileSpeed, threads);
  dot.lineChunks = std::clamp<int64_t>(std::max(forCache, forThreads), 1, dot.lines);
  dot.linesPerChunk = ceilDiv(dot.lines, dot.lineChunks);
}

std::string TiledDotSpec::name() const {
  return fmt::format(FMT_COMPILE("tiles_{}{}x{}{}"), dot.tile.types.label(), kTileRows,
                     dot.tile.columns(), dot.epilogue.program.label());
}

//===----------------------------------------------------------------------===//
// Emission
//===----------------------------------------------------------------------===//

namespace {
class TiledDotEmitter : DotDriver {
public:
  TiledDotEmitter(KernelBuilder &kb, const TiledDotSpec &spec)
      : DotDriver(kb, spec.dot), tiled(spec), unit(kb, types) {}

  void emit();

private:
  /// The tiles of one product: 1 or 2 of A, 1 or 2 of B.
  struct Shape {
    int64_t ofA, ofB;
  };
  struct Cursor {
    Value a, b;
  };

  void emitTask(Value task);
  /// Unit `index` of a column tile.
  void emitUnit(const Tile &tile, Value index);
  /// A tile whose first row is `firstRow` of the line; rows before `skipped` are stored elsewhere.
  void emitTile(const Tile &tile, Value firstRow, Value skipped);
  void multiplyAll(const Shape &shape, Value a, Value b);
  Cursor emitLevel(const Shape &shape, size_t index, Cursor at);
  void emitStep(const Shape &shape, Value a, Value strideA, Value secondA, Value b);
  /// What is left of the rows at `a` at the end of k, and zeros behind it, in `rest`.
  void copyRest(Value a);
  /// The epilogue of columns of vectors [first, first + count).
  void storeSums(const Tile &tile, Value firstRow, Value skipped, int64_t first, int64_t count);

  Value elementsOfA(Value count) { return kb.mul(count, dtypeBytes(types.a)); }
  Value rowStrideA() { return strideOf(spec.tile.rowStrideA, &DotDims::rowStrideA); }

  const TiledDotSpec &tiled;
  TileUnit unit;
  /// Rows of two vectors of sums; rows of what is left over of A.
  Value sums, rest;
};
} // namespace

void TiledDotEmitter::emit() {
  sums = kb.stackSpace(types.accumulate, kTileRows * 2 * kLanes);
  if (tiled.partialStep)
    rest = kb.stackSpace(DType::UInt8, kTileRows * TileUnit::kRowBytes);
  std::array<Value, 3> words;
  for (int64_t i = 0; i < 3; ++i)
    words[i] = kb.dim(dimIndex(&TiledDotDims::configuration) + i);
  unit.configure(words);
  kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) { emitTask(task); });
  unit.release();
}

void TiledDotEmitter::emitTask(Value task) {
  Value column = kb.rem(task, kb.dim(&DotDims::columnTiles));
  Value outer = kb.div(task, kb.dim(&DotDims::columnTiles));
  Value chunk = kb.rem(outer, kb.dim(&DotDims::lineChunks));
  Tile tile = tileOfTask(kb.div(outer, kb.dim(&DotDims::lineChunks)), column);
  Value from = kb.mul(chunk, kb.dim(&DotDims::linesPerChunk));
  Value to = kb.minSigned(kb.add(from, kb.dim(&DotDims::linesPerChunk)), kb.dim(&DotDims::lines));
  kb.forLoop(from, to, 1, [&](Value index) { emitUnit(tile, index); });
}

void TiledDotEmitter::emitUnit(const Tile &tile, Value index) {
  Value lastRow = kb.sub(kb.dim(&TiledDotDims::lineRows), kb.dim(&TiledDotDims::tileStep));
  auto emitAt = [&](const Tile &line, Value t, Value skippedLines) {
    Value wanted = kb.mul(t, kb.dim(&TiledDotDims::tileStep));
    Value firstRow = kb.minSigned(wanted, lastRow);
    emitTile(line, firstRow, kb.add(skippedLines, kb.sub(wanted, firstRow)));
  };
  if (spec.flat)
    return emitAt(tile, index, kb.index(0));
  Value ofUnit = kb.dim(&TiledDotDims::linesOfUnit);
  Value wanted = kb.mul(index, ofUnit);
  Value line = kb.minSigned(wanted, kb.sub(kb.dim(&TiledDotDims::allLines), ofUnit));
  Value skipped = kb.mul(kb.sub(wanted, line), kb.dim(&TiledDotDims::firstRows));
  Tile inLine = tileOfLine(tile, line);
  kb.forLoop(kb.index(0), kb.dim(&TiledDotDims::tilesOfLine), 1,
             [&](Value t) { emitAt(inLine, t, skipped); });
}

void TiledDotEmitter::emitTile(const Tile &tile, Value firstRow, Value skipped) {
  Value a = kb.advance(tile.a, kb.mul(firstRow, rowStrideA()), types.a);
  if (tiled.partialStep)
    copyRest(a);
  for (int64_t first = 0; first < spec.tile.vectors; first += 2) {
    int64_t count = std::min<int64_t>(2, spec.tile.vectors - first);
    Value b = kb.advance(tile.b, first * kLanes * spec.tile.group, types.b);
    kb.ifThen(
        kb.lessThan(kb.index(0), kb.dim(&TiledDotDims::secondRows)),
        [&] { multiplyAll({2, count}, a, b); }, [&] { multiplyAll({1, count}, a, b); });
    storeSums(tile, firstRow, skipped, first, count);
  }
}

void TiledDotEmitter::multiplyAll(const Shape &shape, Value a, Value b) {
  for (int64_t half = 0; half < shape.ofA; ++half)
    for (int64_t v = 0; v < shape.ofB; ++v)
      unit.clear(2 * half + v);
  Cursor end = emitLevel(shape, 0, {a, b});
  if (tiled.partialStep) {
    Value second = kb.mul(kb.dim(&TiledDotDims::firstRows), TileUnit::kRowBytes);
    emitStep(shape, rest, kb.index(TileUnit::kRowBytes), kb.advance(rest, second, DType::UInt8),
             end.b);
  }
  Value stride = kb.index(2 * kLanes * dtypeBytes(types.accumulate));
  for (int64_t half = 0; half < shape.ofA; ++half) {
    Value row = half == 0 ? kb.index(0) : kb.dim(&TiledDotDims::firstRows);
    Value ofHalf = kb.advance(sums, kb.mul(row, 2 * kLanes), types.accumulate);
    for (int64_t v = 0; v < shape.ofB; ++v)
      unit.store(2 * half + v, kb.advance(ofHalf, v * kLanes, types.accumulate), stride);
  }
}

/// Emits a level and those inside of it; what follows it.
TiledDotEmitter::Cursor TiledDotEmitter::emitLevel(const Shape &shape, size_t index, Cursor at) {
  Value trip = ofLevel(index, &DotDims::Level::trip);
  Value strideA = ofLevel(index, &DotDims::Level::strideA);
  Value stepB = kb.mul(kb.dim(&TiledDotDims::stepElements), spec.tile.columns());
  Value bytesOfRow = elementsOfA(rowStrideA());
  Values end =
      kb.forLoop(kb.index(0), trip, 1, Values{at.a, at.b}, [&](Value, ValueRange now) -> Values {
        Cursor next{now[0], now[1]};
        if (index + 1 < spec.tile.levels.size()) {
          next = emitLevel(shape, index + 1, next);
          if (spec.tile.levels[index].hasStrideB)
            next.b = kb.advance(now[1], ofLevel(index, &DotDims::Level::strideB), types.b);
        } else {
          Value second = kb.advance(now[0], kb.dim(&TiledDotDims::secondA), types.a);
          emitStep(shape, now[0], bytesOfRow, second, now[1]);
          next.b = kb.advance(now[1], stepB, types.b);
        }
        return {kb.advance(now[0], strideA, types.a), next.b};
      });
  return {end[0], end[1]};
}

void TiledDotEmitter::emitStep(const Shape &shape, Value a, Value strideA, Value secondA, Value b) {
  constexpr int64_t kFirstA = 4, kFirstB = 6;
  Value strideB = kb.index(spec.tile.columns() * 4);
  unit.load(kFirstA, a, strideA);
  for (int64_t v = 0; v < shape.ofB; ++v)
    unit.load(kFirstB + v, kb.advance(b, v * kLanes * spec.tile.group, types.b), strideB);
  if (shape.ofA == 2)
    unit.load(kFirstA + 1, secondA, strideA);
  for (int64_t half = 0; half < shape.ofA; ++half)
    for (int64_t v = 0; v < shape.ofB; ++v)
      unit.multiply(2 * half + v, kFirstA + half, kFirstB + v);
}

void TiledDotEmitter::copyRest(Value a) {
  Value all = kb.mul(ofLevel(0, &DotDims::Level::trip), ofLevel(0, &DotDims::Level::strideA));
  Value end = kb.advance(a, all, types.a);
  Value bytes = elementsOfA(kb.dim(&TiledDotDims::leftOver));
  Value rows = kb.add(kb.dim(&TiledDotDims::firstRows), kb.dim(&TiledDotDims::secondRows));
  kb.forLoop(kb.index(0), rows, 1, [&](Value row) {
    Value from = kb.advance(end, kb.mul(row, rowStrideA()), types.a);
    Value to = kb.advance(rest, kb.mul(row, TileUnit::kRowBytes), DType::UInt8);
    kb.store(kb.load(from, DType::UInt8, TileUnit::kRowBytes, bytes), to, DType::UInt8,
             TileUnit::kRowBytes);
  });
}

void TiledDotEmitter::storeSums(const Tile &tile, Value firstRow, Value skipped, int64_t first,
                                int64_t count) {
  OpBuilder &ops = kb.builder();
  Value firstHalf = kb.dim(&TiledDotDims::firstRows);
  auto ofSecondHalf = [&](Value row, int64_t TiledDotDims::*extra) -> Value {
    return ops.create<arith::SelectOp>(kb.loc(), kb.lessThan(row, firstHalf), kb.index(0),
                                       kb.dim(extra));
  };
  auto add = [&](Value sum, Value bias) -> Value {
    if (isFloat(types.accumulate))
      return ops.create<arith::AddFOp>(kb.loc(), sum, bias);
    return ops.create<arith::AddIOp>(kb.loc(), sum, bias);
  };
  Value rows = kb.add(firstHalf, kb.dim(&TiledDotDims::secondRows));
  auto rowAt = [&](Value row) {
    ResultRow vectors;
    vectors.areAdjacent = spec.contiguousColumns;
    for (int64_t v = first; v < first + count; ++v) {
      vectors.at.push_back(position(kb.add(firstRow, row), v));
      vectors.active.push_back(active(v));
      vectors.at.back().element =
          kb.add(vectors.at.back().element, ofSecondHalf(row, &TiledDotDims::extraC));
      vectors.at.back().row =
          kb.add(vectors.at.back().row, ofSecondHalf(row, &TiledDotDims::extraRow));
    }
    return vectors;
  };
  auto biasAt = [&](const ResultRow &row, int64_t v) {
    return loadOperand(kb, tile.bias, *spec.bias, types.accumulate, row.at[v], kLanes,
                       row.active[v]);
  };
  SharedOperands shared;
  Values sharedBias;
  if (!spec.epilogue.access.empty() || spec.bias == OperandAccess::PerColumn) {
    ResultRow columns = rowAt(kb.index(0));
    shared = loadShared(kb, spec.epilogue, tile.operands, columns, kLanes);
    for (int64_t v = 0; spec.bias == OperandAccess::PerColumn && v < count; ++v)
      sharedBias.push_back(biasAt(columns, v));
  }
  kb.forLoop(skipped, rows, 1, [&](Value row) {
    Value ofRow = kb.advance(sums, kb.mul(row, 2 * kLanes), types.accumulate);
    ResultRow vectors = rowAt(row);
    Values results;
    for (int64_t v = 0; v < count; ++v) {
      Value sum =
          kb.load(kb.advance(ofRow, v * kLanes, types.accumulate), types.accumulate, kLanes);
      if (spec.bias)
        sum = add(sum, sharedBias.empty() ? biasAt(vectors, v) : sharedBias[v]);
      results.push_back(sum);
    }
    emitEpilogueOfRow(kb, spec.epilogue, results, tile.operands, vectors, kLanes, tile.c, shared);
  });
}

void TiledDotSpec::emit(KernelBuilder &kb) const { TiledDotEmitter(kb, *this).emit(); }
